"use strict";
// Hypervolume, seconds and the surrogate's ranks by generation, the training's scalars, and the latency model against measurements.

function showGrowth(report) {
  const found = report.growth;
  if (!found) return;
  byId("search").hidden = false;
  const { latency_ms: ms, psnr_y: db } = found.reference;
  fill(
    byId("growth-note"),
    `The hypervolume is the area that the candidates so far dominate, up to ${number(ms)} ms and ${decibels(db)}, the ` +
      `slowest and the worst of all. A flat end says that more generations would have found little.`,
  );
  plot("growth-plot", "Hypervolume of all candidates by generation", () => [
    [
      {
        x: found.hypervolume.map((_, i) => i + 1),
        y: found.hypervolume,
        text: found.evaluated.map((count) => number(count)),
        hovertemplate: "generation %{x}: %{y:.4g} ms·dB, %{text} candidates<extra></extra>",
        mode: "lines+markers",
        line: { color: colour("accent") },
        marker: { size: 5 },
      },
    ],
    layout(axis("generation", { rangemode: "nonnegative" }), axis("hypervolume, ms·dB")),
  ]);
}

// Of Okabe and Ito: parts beside each other differ for every eye.
const PART_COLOURS = {
  compile: "#cc79a7", schedule: "#e69f00", evaluate: "#0072b2", nsga2: "#009e73", latency: "#f0e442",
  members: "#d55e00", write: "#56b4e9", surrogate: "#999933",
};

function showClock(report) {
  const found = report.clock;
  if (!found || !found.generation.length) return;
  byId("search").hidden = byId("clock").hidden = false;
  const whole = Object.values(found.total).reduce((sum, spent) => sum + spent, 0);
  const shares = Object.entries(found.total).filter(([, spent]) => spent > 0).sort((a, b) => b[1] - a[1]);
  fill(
    byId("clock-note"),
    `${number(whole)} s by the wall clock: ${shares.map(([name, spent]) => `${name} ${number(spent)} s`).join(", ")}. ` +
      `That is ${number(found.evaluated / whole)} candidates per second. Latency is probed before the first generation, ` +
      `members are measured after the last; the bars are the generations.`,
  );
  const parts = Object.entries(found.parts).filter(([, spent]) => spent.some((seconds) => seconds > 0));
  plot("clock-plot", `Seconds per generation by part: ${parts.map(([name]) => name).join(", ")}`, () => [
    parts.map(([name, seconds]) => ({
      type: "bar",
      name,
      x: found.generation.map((generation) => generation + 1),
      y: seconds,
      hovertemplate: `generation %{x}: %{y:.3g} s<extra>${name}</extra>`,
      marker: { color: PART_COLOURS[name] ?? colour("soft") },
    })),
    layout(axis("generation"), axis("seconds"), { barmode: "stack" }),
  ]);
}

function showTaus(report) {
  const found = report.taus;
  if (!found) return;
  byId("search").hidden = byId("surrogate").hidden = false;
  const [least, most] = [Math.min(...found.tau), Math.max(...found.tau)];
  fill(
    byId("surrogate-note"),
    `Kendall's tau of the PSNR-Y that the surrogate predicted and the measured one, over the candidates that it chose: ` +
      `1 is the same order, 0 is chance. It is ${least.toFixed(2)} to ${most.toFixed(2)}. A generation without a point has no ` +
      `candidates that the surrogate chose, or too few.`,
  );
  const low = Math.min(0, least) - 0.05;
  plot("surrogate-plot", `Kendall's tau of the surrogate by generation: ${found.tau.map((tau) => tau.toFixed(2)).join(", ")}`, () => [
    [
      {
        x: found.generation.map((generation) => generation + 1),
        y: found.tau,
        hovertemplate: "generation %{x}: tau %{y:.3f}<extra></extra>",
        mode: "lines+markers",
        line: { color: colour("accent") },
        marker: { size: 6 },
      },
    ],
    layout(axis("generation", { rangemode: "nonnegative" }), axis("Kendall's tau", { range: [low, 1.05] })),
  ]);
}

const CURVES = { largest: "accent", random: "front", smallest: "member", loss: "soft" };

function showTraining(report) {
  const curves = report.training;
  if (!curves.length) return;
  byId("training").hidden = false;
  const trace = ({ name, step, value }, more) => ({
    x: [...step],
    y: [...value],
    name: name.replaceAll("_", " "),
    mode: step.length > 1 ? "lines" : "markers",
    hovertemplate: `step %{x:,}: %{y:.4g}<extra>${name.replaceAll("_", " ")}</extra>`,
    ...more,
  });
  const dashes = { largest: "solid", random: "dot", smallest: "dash", loss: "solid" };
  plot("training-plot", `Training curves: ${curves.map((curve) => curve.name).join(", ")}`, () => [
    curves.map((curve) =>
      curve.name === "gradient_norm"
        ? trace(curve, { yaxis: "y2", line: { color: "#009e73", width: 1 } })
        : trace(curve, { line: { color: colour(CURVES[curve.name] ?? "soft"), dash: dashes[curve.name] ?? "dot" } })),
    layout(axis("step", { anchor: "y2", rangemode: "tozero" }), axis("loss", { ...logarithmic, domain: [0.36, 1] }), {
      yaxis2: axis("gradient norm", { rangemode: "tozero", nticks: 4, domain: [0, 0.28] }),
      hovermode: "x",
    }),
  ]);
}

function fidelity(kind) {
  const tau = kind.tau === null ? "" : `Kendall's tau ${kind.tau.toFixed(3)}, `;
  return `${tau}mean error ${percent(kind.error)}`;
}

function showLatency(report) {
  const kinds = report.predictions;
  if (!kinds) return;
  byId("latency").hidden = false;
  const parts = [];
  if (kinds.fitted) {
    parts.push(`The table is a sum over branches, fitted to ${kinds.fitted.points.length} archs (${fidelity(kinds.fitted)} on these).`);
  }
  if (kinds.member) parts.push(`The members were compiled and measured after the search (${fidelity(kinds.member)}).`);
  fill(byId("latency-note"), parts.join(" "));
  const looks = {
    fitted: { name: "archs of the fit", marker: { color: colour("accent"), symbol: "circle-open", size: 9, line: { width: 2 } } },
    member: { name: "members", marker: { color: colour("front"), symbol: "diamond", size: 10 } },
  };
  const all = Object.values(kinds).flatMap((kind) => kind.points);
  const end = 1.05 * Math.max(...all.map((point) => Math.max(point.predicted_ms, point.measured_ms)));
  plot("latency-plot", `Predicted against measured latency of ${all.length} archs`, () => [
    [
      { x: [0, end], y: [0, end], mode: "lines", name: "exact", hoverinfo: "skip", line: { color: colour("soft"), dash: "dash" } },
      ...Object.entries(kinds).map(([kind, { points }]) => ({
        x: points.map((point) => point.measured_ms),
        y: points.map((point) => point.predicted_ms),
        text: points.map((point) => wrapped(point.name)),
        hovertemplate: "<b>%{text}</b><br>measured %{x:.4g} ms<br>predicted %{y:.4g} ms<extra></extra>",
        mode: "markers",
        ...looks[kind],
      })),
    ],
    layout(axis("measured latency, ms per frame", { range: [0, end] }), axis("predicted latency, ms per frame", { range: [0, end] })),
  ]);
}
