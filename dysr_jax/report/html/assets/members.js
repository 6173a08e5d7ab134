"use strict";
// The members: a strip each, what changes from the one before, and their measured figures.

// On a phone the branches come before the figures: the table is scrolled there.
const inOrder = (figures, branches) => (narrow() ? [...branches, ...figures] : [...figures, ...branches]);

// Another width replaces every slot's executable.
const slotsChanged = (step) => (step.slots.some((one) => one.name === "width") ? "all" : `${step.slots.length}`);

function memberRow(report, member, i) {
  const before = report.results.members[i - 1];
  const step = report.results.steps[i - 1];
  const select = element("button", { type: "button", title: member.name }, `${i + 1} ${member.name}`);
  if (report.select && member.row !== null) select.addEventListener("click", () => report.select(member.row));
  else select.disabled = true;
  const cells = member.arch.map((index, gene) =>
    element("td", { class: "slot" }, branchCell(report, gene, index, before?.arch[gene])));
  const figure = (text) => element("td", {}, text);
  const measured = [member.psnr_y.toFixed(2), number(member.latency_ms), number(member.fps)];
  const counted = [
    scaled(member.params),
    scaled(member.macs),
    step ? slotsChanged(step) : "",
    step ? scaled(step.unshared_bytes, "B") : "",
  ];
  return element("tr", {}, element("th", { scope: "row" }, select), ...inOrder(measured.map(figure), cells),
    ...counted.map(figure));
}

function showMembers(report) {
  const results = report.results;
  if (!results) return;
  byId("members").hidden = false;
  const slots = report.gene_names.map((name) => name.replace("slot", "").replace("upsampler", "up"));
  const heads = inOrder(["PSNR-Y dB", "ms/frame", "fps"], slots);
  heads.unshift("member");
  heads.push("weights", "mult-adds", "slots changed", "not shared");
  fill(
    byId("members-table"),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...results.members.map((member, i) => memberRow(report, member, i))),
  );
  plotMembers(report);
}

function plotMembers(report) {
  const { members, bicubic_psnr_y: bicubic } = report.results;
  const text = members.map((m, i) =>
    `<b>${i + 1} ${wrapped(m.name)}</b><br>${decibels(m.psnr_y)}<br>${number(m.latency_ms)} ms, ${number(m.fps)} fps`);
  const x = members.map((m) => m.latency_ms);
  const summary = `Line of ${members.length} members: PSNR-Y on whole images against measured latency`;
  plot("measured-plot", summary, () => [
    [
      {
        x,
        y: members.map((m) => m.psnr_y),
        customdata: members.map((m) => m.row),
        text,
        hovertemplate: "%{text}<extra></extra>",
        mode: "lines+markers",
        name: "members as measured",
        line: { color: colour("front"), width: 1.5 },
        marker: { color: colour("front"), size: 9 },
      },
      {
        x: [0, Math.max(...x)],
        y: [bicubic, bicubic],
        mode: "lines",
        name: `bicubic, ${decibels(bicubic)}`,
        hoverinfo: "skip",
        line: { color: colour("soft"), dash: "dash" },
      },
    ],
    layout(axis("measured latency, ms per frame", { rangemode: "tozero" }), axis("PSNR-Y on whole images, dB"), {
      showlegend: true,
      annotations: members.map((m, i) => ({
        x: m.latency_ms, y: m.psnr_y, text: String(i + 1), showarrow: false, xshift: 8, yshift: -11,
      })),
    }),
  ]);
  byId("measured-plot").on("plotly_click", (event) => {
    const row = event.points[0].customdata;
    if (report.select && Number.isInteger(row)) report.select(row);
  });
}
