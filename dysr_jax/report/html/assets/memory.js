"use strict";
// The bytes that stay on the device against separate models', and what sharing costs.

function showMemory(report) {
  const results = report.results;
  if (!results) return;
  byId("memory").hidden = false;
  const { resident_bytes: resident, ensemble_bytes: separate } = results;
  fill(
    byId("memory-note"),
    `The weights of all ${results.members.length} members together take ${scaled(resident, "B")}; as separate models ` +
      `they would take ${scaled(separate, "B")}: ${percent(1 - resident / separate)} less.`,
  );
  plot("bytes-plot", "Bars: resident weights and those of separate models", () => [
    [
      {
        type: "bar",
        orientation: "h",
        y: ["as separate models", "shared, as resident"],
        x: [separate / 1e6, resident / 1e6],
        text: [separate, resident].map((bytes) => scaled(bytes, "B")),
        textposition: "auto",
        textangle: 0,
        hoverinfo: "skip",
        marker: { color: [colour("soft"), colour("accent")] },
      },
    ],
    layout(axis("weights, MB"), axis("", { ticks: "" }), { dragmode: false }),
  ]);
  plotSharing(results.sharing, report.sharing_weight);
}

function plotSharing(points, used) {
  if (!points.length) return;
  plot("sharing-plot", "Share of the front's hypervolume against resident weights, by weight of sharing", () => [
    [
      {
        x: points.map((point) => point.resident_bytes / 1e6),
        y: points.map((point) => 100 * point.hypervolume_share),
        text: points.map((point) =>
          `sharing ${point.weight}<br>${scaled(point.resident_bytes, "B")} resident<br>` +
          `${percent(point.hypervolume_share)} of the hypervolume<br>${point.changed_slots} slots change on the way up`),
        hovertemplate: "%{text}<extra></extra>",
        mode: "lines+markers",
        name: "members by weight of sharing",
        line: { color: colour("accent"), width: 1.5 },
        marker: { size: points.map((point) => (point.weight === used ? 14 : 8)),
          symbol: points.map((point) => (point.weight === used ? "diamond" : "circle")) },
      },
    ],
    layout(axis("resident weights, MB"), axis("hypervolume kept, %"), {
      title: { text: `by weight of sharing (this run's, ${used}, is the diamond)`, font: { size: 13 }, x: 0.02 },
      margin: { l: 55, r: 15, t: 40, b: 50 },
    }),
  ]);
}
