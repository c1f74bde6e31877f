// The claims: a search and a choice of verdict.

export function startClaims(form) {
  const claims = [...document.querySelectorAll(".claim")].map((element) => ({
    element,
    text: element.textContent.toLowerCase(),
    verdict: element.dataset.verdict,
  }));
  const themes = [...document.querySelectorAll(".theme")];
  const opened = themes.map((theme) => theme.open);
  let filtered = false;
  const update = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdict = form.elements.verdict.value;
    if (!filtered) themes.forEach((theme, i) => (opened[i] = theme.open));
    filtered = Boolean(words.length || verdict);
    let shown = 0;
    for (const claim of claims) {
      const fits =
        (!verdict || claim.verdict === verdict) && words.every((word) => claim.text.includes(word));
      claim.element.hidden = !fits;
      shown += fits;
    }
    themes.forEach((theme, i) => {
      const left = theme.querySelectorAll(".claim:not([hidden])").length;
      theme.hidden = !left;
      theme.open = filtered ? left > 0 : opened[i];
      theme.querySelector(".count").textContent = left;
    });
    document.getElementById("claim-count").textContent = `${shown} ${shown === 1 ? "claim" : "claims"}`;
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const tile of document.querySelectorAll(".tile[data-verdict]")) {
    tile.addEventListener("click", () => {
      form.elements.words.value = "";
      form.elements.verdict.value = tile.dataset.verdict;
      update();
    });
  }
}
