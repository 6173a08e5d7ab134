"use strict";
// The section of the front: its plot, its controls, and what selects.

function showFront(report) {
  const found = report.candidates;
  if (!found) return;
  byId("front").hidden = false;
  const state = { generation: found.generations - 1, selected: null, kind: scatterKind(found.count), text: [] };
  for (let row = 0; row < found.count; row += 1) state.text.push(candidateText(report, row));
  const log = () => byId("front-log").checked;
  const form = () =>
    layout(
      axis("predicted latency, ms per frame", log() ? decades : { rangemode: "tozero" }),
      axis("PSNR-Y on validation patches, dB"),
      { uirevision: String(log()), annotations: selectedMark(found, state, log()) },
    );
  const summary =
    `Scatter plot of ${found.evaluated} candidates and their front of ${found.front.length}: ` +
    `PSNR-Y against predicted latency`;
  const draw = plot("front-plot", summary, () => [frontTraces(report, state), form()]);

  report.select = (row) => {
    state.selected = row;
    showSelected(report, state);
    Plotly.relayout("front-plot", { annotations: selectedMark(found, state, log()) });
  };
  byId("front-plot").on("plotly_click", (event) => report.select(event.points[0].customdata));
  byId("front-log").addEventListener("change", draw);
  for (const [id, direction] of [["faster", -1], ["better", 1]]) {
    byId(id).addEventListener("click", () => report.select(neighbour(found, state.selected, direction)));
  }
  const slider = byId("generation");
  slider.max = String(found.generations);
  slider.min = "1";
  slider.value = slider.max;
  const tell = () => fill(byId("generation-shown"), `${slider.value} of ${found.generations}`);
  slider.addEventListener("input", () => {
    state.generation = Number(slider.value) - 1;
    tell();
    draw();
  });
  tell();
}
