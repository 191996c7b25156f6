// The colour scheme that was chosen here before, set before anything is drawn. Without a choice the system's counts.
(() => {
  try {
    const chosen = localStorage.getItem("usher-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Without storage there is no choice to remember.
  }
})();
