const specs = JSON.parse(document.getElementById("specs").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const ink = dark ? "#d6d3cd" : "#3b3935", faint = dark ? "#3a3a38" : "#e7e3da";
const look = {
  background: "transparent", font: "ui-sans-serif, system-ui, sans-serif", view: { stroke: null },
  axis: { labelColor: ink, titleColor: ink, gridColor: faint, domainColor: faint, tickColor: faint, titleFontWeight: 400, labelFontSize: 11, titleFontSize: 11 },
  legend: { labelColor: ink, titleColor: ink, labelFontSize: 11 }, header: { labelColor: ink, labelFontSize: 12 }, rule: { color: ink },
};
const draw = (place) => {
  const spec = specs[place.dataset.figure];
  const width = Math.max(220, place.clientWidth - 60);
  if (spec.spec) spec.spec.width = Math.max(160, width - 150);
  else if (!spec.hconcat) spec.width = width;
  drawChart(place, { ...spec, config: look, autosize: { type: spec.hconcat || spec.spec ? "pad" : "fit-x", contains: "padding" } })
    .catch((error) => { place.textContent = `This chart could not be drawn: ${error.message}`; });
};
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) { watcher.unobserve(entry.target); draw(entry.target); }
}, { rootMargin: "600px" });
for (const place of document.querySelectorAll("[data-figure]")) watcher.observe(place);
