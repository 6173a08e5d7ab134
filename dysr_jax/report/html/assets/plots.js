"use strict";
// What all plots share: colours of the page's theme, layout, and being drawn again when the theme changes.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const narrow = () => window.innerWidth < 640;
const coarse = () => window.matchMedia("(pointer: coarse)").matches;

function axis(title, more = {}) {
  return {
    title: { text: title, standoff: 8 },
    gridcolor: colour("grid"),
    linecolor: colour("line"),
    zerolinecolor: colour("line"),
    automargin: true,
    ...more,
  };
}

const logarithmic = { type: "log", tickformat: "~g" };
// Over a decade or more: ticks at 1, 2 and 5.
const decades = { ...logarithmic, dtick: "D2" };

function layout(x, y, more = {}) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: narrow() ? 11 : 13, color: colour("ink") },
    margin: { l: 55, r: 15, t: 30, b: 50 },
    hovermode: "closest",
    hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"), font: { color: colour("ink") }, align: "left" },
    // A finger scrolls the page; a mouse drags a rectangle to zoom into.
    dragmode: coarse() ? false : "zoom",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("accent") },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
    xaxis: x,
    yaxis: y,
    ...more,
  };
}

const config = () => ({
  responsive: true,
  displaylogo: false,
  // Plotly would offer to send the data to its makers' server.
  showSendToCloud: false,
  plotlyServerURL: "",
  displayModeBar: coarse() ? false : "hover",
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
});

const drawn = [];

// Draw a plot now and whenever the theme changes; `make` returns [traces, layout].
function plot(id, summary, make) {
  const node = byId(id);
  const draw = () => {
    const [traces, form] = make();
    return Plotly.react(node, traces, form, config());
  };
  node.setAttribute("aria-label", summary);
  drawn.push(draw);
  draw();
  return draw;
}

function followTheme() {
  const again = () => drawn.forEach((draw) => draw());
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
}

// Thousands of points are drawn by the graphics card where the browser may use it.
function scatterKind(count) {
  if (count < 3000) return "scatter";
  const context = document.createElement("canvas").getContext("webgl");
  if (!context) return "scatter";
  context.getExtension("WEBGL_lose_context")?.loseContext();
  return "scattergl";
}
