// The explorer's controls: a number and a slider each, checked, and kept in the page's address.

const NAMES = [
  "n",
  "k",
  "p",
  "correct",
  "outcomes",
  "history",
  "staleness",
  "falsePositives",
  "falseNegatives",
];
const WHOLE = new Set(["n", "k", "correct", "outcomes", "history"]);
const STEPS = 200;

const logit = (p) => Math.log(p / (1 - p));

/** From a slider's place in [0, 1] to a value in [least, most], and back. */
const SCALES = {
  linear: [(x, a, b) => a + x * (b - a), (y, a, b) => (y - a) / (b - a)],
  log: [(x, a, b) => a * (b / a) ** x, (y, a, b) => Math.log(y / a) / Math.log(b / a)],
  logit: [
    (x, a, b) => 1 / (1 + Math.exp(-(logit(a) + x * (logit(b) - logit(a))))),
    (y, a, b) => (logit(y) - logit(a)) / (logit(b) - logit(a)),
  ],
  power: [(x, a, b) => b * x ** 3, (y, a, b) => (y / b) ** (1 / 3)],
};

/** Why a setting is none, in words; empty where it is one. */
export function whyNot(setting, limits) {
  for (const name of NAMES) {
    const [label, least, most] = limits[name];
    const value = setting[name];
    if (
      !Number.isFinite(value) ||
      value < least ||
      value > most ||
      (WHOLE.has(name) && !Number.isInteger(value))
    ) {
      return `${label} = ${Number.isNaN(value) ? "?" : value}: a ${WHOLE.has(name) ? "whole " : ""}number from ${least} to ${most} is needed.`;
    }
  }
  if (setting.correct >= setting.outcomes) {
    return `Correct outcomes = ${setting.correct}: at most Outcomes - 1 = ${setting.outcomes - 1}, so that some are wrong.`;
  }
  return "";
}

/** Let the controls move together; `changed(setting, why)` is called at every change, and now. */
export function startControls(form, changed) {
  const inputs = Object.fromEntries(NAMES.map((name) => [name, form.elements[name]]));
  const sliders = Object.fromEntries(NAMES.map((name) => [name, form.querySelector(`[data-of="${name}"]`)]));
  const limits = Object.fromEntries(
    NAMES.map((name) => {
      const input = inputs[name];
      return [name, [input.labels[0].textContent, Number(input.min), Number(input.max)]];
    }),
  );
  const scale = (name) => SCALES[sliders[name].dataset.scale ?? "linear"];
  const read = () =>
    Object.fromEntries(
      NAMES.map((name) => [name, inputs[name].value === "" ? NaN : Number(inputs[name].value)]),
    );
  const range = (name) => limits[name].slice(1);

  function follow() {
    for (const name of NAMES) {
      const place = scale(name)[1](Number(inputs[name].value), ...range(name));
      sliders[name].value = Math.round(STEPS * Math.min(1, Math.max(0, place)));
      sliders[name].setAttribute("aria-valuetext", inputs[name].value);
    }
  }
  function update({ keep = true } = {}) {
    const setting = read();
    const why = whyNot(setting, limits);
    for (const name of NAMES) {
      const [label] = limits[name];
      inputs[name].toggleAttribute("aria-invalid", Boolean(why) && why.startsWith(`${label} =`));
    }
    follow();
    if (keep && !why) {
      const query = new URLSearchParams(
        NAMES.filter((name) => inputs[name].value !== inputs[name].defaultValue).map((name) => [
          name,
          inputs[name].value,
        ]),
      );
      try {
        history.replaceState(null, "", `${location.pathname}${String(query) && `?${query}`}${location.hash}`);
      } catch {
        // Where the address cannot change, the setting is kept in the controls alone.
      }
    }
    changed(setting, why);
  }
  for (const name of NAMES) {
    inputs[name].addEventListener("input", () => update());
    sliders[name].addEventListener("input", () => {
      const value = scale(name)[0](Number(sliders[name].value) / STEPS, ...range(name));
      const step = Number(inputs[name].step) || 0;
      inputs[name].value = WHOLE.has(name)
        ? Math.round(value)
        : Number(step ? (Math.round(value / step) * step).toFixed(4) : value.toPrecision(3));
      // What depends on another control stays possible while a slider moves it.
      if (name === "outcomes" && Number(inputs.correct.value) >= Number(inputs.outcomes.value)) {
        inputs.correct.value = Number(inputs.outcomes.value) - 1;
      }
      if (name === "correct" && Number(inputs.correct.value) >= Number(inputs.outcomes.value)) {
        inputs.outcomes.value = Number(inputs.correct.value) + 1;
      }
      update();
    });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(update));
  const asked = new URLSearchParams(location.search);
  // What is no number is an empty field: the browser would warn of it.
  for (const name of NAMES)
    if (asked.has(name)) inputs[name].value = Number.isNaN(Number(asked.get(name))) ? "" : asked.get(name);
  update({ keep: false });
}
