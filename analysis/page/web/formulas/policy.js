// A softmax policy over `outcomes` answers, alike inside the correct and inside the wrong ones, as the
// verifier's verdicts divide it into two levels.

/**
 * What exact moments need to know of it.
 *
 * `seen`: chance of a verdict of 1, p(1 - fn) + (1-p) fp; `signal`: |G|^2 of the mean score of a rollout
 * that is judged right (that of the others is -seen / (1 - seen) times as long); `spread`: E|s - G|^2 of a
 * rollout judged wrong and of one judged right; `share`: d seen / dp = 1 - fn - fp.
 */
export function levels({ p, correct, outcomes, falsePositives = 0, falseNegatives = 0 }) {
  const wrong = outcomes - correct;
  const seen = p * (1 - falseNegatives) + (1 - p) * falsePositives;
  const unseen = p * falseNegatives + (1 - p) * (1 - falsePositives);
  // What one correct and one wrong answer weigh among the rollouts of a verdict.
  const passed = [(p * (1 - falseNegatives)) / seen / correct, ((1 - p) * falsePositives) / seen / wrong];
  const failed = [(p * falseNegatives) / unseen / correct, ((1 - p) * (1 - falsePositives)) / unseen / wrong];
  const policy = [p / correct, (1 - p) / wrong];
  const squared = (x, y) => correct * x * x + wrong * y * y;
  return {
    p,
    seen,
    unseen,
    share: 1 - falseNegatives - falsePositives,
    signal: squared(passed[0] - policy[0], passed[1] - policy[1]),
    spread: [1 - squared(...failed), 1 - squared(...passed)].map((each) => (each < 1e-15 ? 0 : each)),
  };
}
