"use strict";
// What was measured at run time: switches between members, and streams at a rate.

const MARKS = [
  ["steady_ms_p50", "steady frame, median", "circle-open", "accent"],
  ["steady_ms_p99", "steady frame, 99th percentile", "circle", "accent"],
  ["switch_ms_p50", "first frame after a switch, median", "diamond-open", "front"],
  ["switch_ms_p99", "first frame, 99th percentile", "diamond", "front"],
];

function showSwitching(report) {
  const found = report.switch;
  if (!found) return;
  byId("switching").hidden = false;
  const rows = found.strategies;
  const size = `${found.frame[1]}x${found.frame[0]} to ${found.frame[1] * found.scale}x${found.frame[0] * found.scale}`;
  fill(
    byId("switch-note"),
    `Ways to serve the same ${found.members?.length ?? ""} members on ${found.device}, ${size}. The first frame after ` +
      `a switch includes the switch; the line is the period at ${number(found.fps)} frames per second.`,
  );
  const period = 1e3 / found.fps;
  plot("switch-plot", `Frame times of ${rows.length} ways to switch, milliseconds`, () => [
    MARKS.map(([key, name, symbol, paint]) => ({
      x: rows.map((row) => row[key]),
      y: rows.map((row) => row.name),
      name,
      mode: "markers",
      hovertemplate: `%{y}: %{x:.3g} ms<extra>${name}</extra>`,
      marker: { symbol, color: colour(paint), size: 11, line: { width: 2, color: colour(paint) } },
    })),
    layout(axis("milliseconds per frame", decades), axis("", { autorange: "reversed" }), {
      legend: { orientation: "h", x: 0, y: -0.22, yanchor: "top", bgcolor: "rgba(0,0,0,0)" },
      margin: { l: 100, r: 15, t: 15, b: 110 },
      shapes: [{ type: "line", x0: period, x1: period, y0: 0, y1: 1, yref: "paper",
        line: { color: colour("soft"), dash: "dash", width: 1 } }],
    }),
  ]);
  table(
    byId("switch-table"),
    ["strategy", "steady p50 ms", "steady p99 ms", "first p50 ms", "first p99 ms", "missed frames", "weights",
      "executables", "ready in"],
    rows.map((row) => [
      row.name,
      ...MARKS.map(([key]) => number(row[key])),
      number(row.missed_frames),
      scaled(row.weight_bytes, "B"),
      scaled(row.executable_bytes, "B"),
      `${number(row.ready_s)} s`,
    ]),
  );
}

function showSteady(report) {
  const streams = report.steady;
  if (!streams.length) return;
  byId("steady").hidden = false;
  const choice = byId("stream");
  fill(choice, ...streams.map(({ name }, i) => element("option", { value: i }, name)));
  const summary = "Frame times, members and load of the chosen stream over seconds";
  const draw = plot("steady-plot", summary, () => streamPlot(streams[Number(choice.value)]));
  choice.addEventListener("change", draw);
  table(
    byId("steady-table"),
    ["stream", "fps to hold", "on time", "late", "interruptions", "longest gap", "switches", "PSNR-Y"],
    streams.map(({ name, summary: all }) => [
      name,
      number(all.fps),
      percent(all.on_time),
      `${number(all.late)} of ${number(all.frames)}`,
      number(all.interruptions),
      `${number(all.longest_gap_ms)} ms`,
      number(all.switches),
      decibels(all.true_psnr_y ?? all.mean_psnr_y),
    ]),
  );
}

function streamPlot(stream) {
  const rows = [...stream.seconds.keys()];
  const late = rows.filter((i) => stream.late[i]);
  const period = 1e3 / stream.fps;
  const end = stream.seconds[stream.seconds.length - 1];
  const dots = (chosen, more) => ({
    x: chosen.map((i) => stream.seconds[i]),
    y: chosen.map((i) => stream.frame_ms[i]),
    text: chosen.map((i) => stream.members[stream.member[i]].name),
    hovertemplate: "%{x:.2f} s: %{y:.1f} ms<br>%{text}<extra></extra>",
    mode: "markers",
    ...more,
  });
  const kind = scatterKind(rows.length);
  const traces = [
    dots(rows.filter((i) => !stream.late[i]), { type: kind, name: "frame", marker: { color: colour("accent"), size: 4 } }),
    dots(late, { name: "late frame", marker: { color: colour("front"), symbol: "x", size: 7 } }),
    { x: [0, end], y: [period, period], mode: "lines", name: `period at ${number(stream.fps)} fps`, hoverinfo: "skip",
      line: { color: colour("soft"), width: 1 } },
    { x: rows.map((i) => stream.seconds[i]), y: rows.map((i) => stream.member[i]), yaxis: "y2", mode: "lines",
      showlegend: false, line: { shape: "hv", color: colour("accent"), width: 1.5 },
      text: rows.map((i) => stream.members[stream.member[i]].name), hovertemplate: "%{x:.2f} s: %{text}<extra></extra>" },
  ];
  const loaded = stream.load.length > 0;
  if (loaded) {
    const steps = [...stream.load, [end, stream.load[stream.load.length - 1][1]]];
    traces.push({ x: steps.map(([at]) => at), y: steps.map(([, busy]) => busy), yaxis: "y3", mode: "lines",
      showlegend: false, fill: "tozeroy", line: { shape: "hv", color: colour("front"), width: 1.5 },
      hovertemplate: "%{x:.1f} s: %{y} busy processes<extra></extra>" });
  }
  return [traces, streamLayout(stream, loaded)];
}

function streamLayout(stream, loaded) {
  const labels = stream.members.map(({ name, psnr_y: db }) =>
    `${name.length > 14 ? `${name.slice(0, 12)}…` : name}${narrow() ? "" : ` ${db.toFixed(2)} dB`}`);
  const more = {
    yaxis2: axis("", { domain: loaded ? [0.2, 0.52] : [0, 0.45], tickvals: labels.map((_, i) => i), ticktext: labels,
      range: [-0.5, labels.length - 0.5] }),
    hovermode: "closest",
  };
  if (loaded) more.yaxis3 = axis("busy", { domain: [0, 0.13], rangemode: "tozero", nticks: 3 });
  return layout(
    axis("seconds", { anchor: loaded ? "y3" : "y2" }),
    axis("frame time, ms", { domain: [0.58, 1], rangemode: "tozero" }),
    more,
  );
}
