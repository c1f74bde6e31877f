// Light, dark, or as the system has it.

const NAMES = { "": "Auto", light: "Light", dark: "Dark" };

/** Let the button go round the three, and remember the choice where the browser lets it. */
export function startTheme(button) {
  const root = document.documentElement;
  const show = () => {
    const chosen = root.dataset.theme ?? "";
    button.textContent = NAMES[chosen] ?? NAMES[""];
    button.setAttribute("aria-label", `${button.textContent} colours`);
  };
  button.addEventListener("click", () => {
    const order = Object.keys(NAMES);
    root.dataset.theme = order[(order.indexOf(root.dataset.theme ?? "") + 1) % order.length];
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // A browser without storage forgets it.
    }
    show();
  });
  show();
}
