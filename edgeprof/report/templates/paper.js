
// --- paper shows what is folded away, and folds it again; but not the long lists of data
const folded = [...document.querySelectorAll("details:not([open]):not(.data)")];
window.addEventListener("beforeprint", () => folded.forEach((one) => { one.open = true; }));
window.addEventListener("afterprint", () => folded.forEach((one) => { one.open = false; }));
