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
// What is near the window is drawn at once, the rest while nobody waits for it, so that a print has every chart.
const places = [...document.querySelectorAll("[data-figure]")], drawn = new Set();
const once = (place) => { if (!drawn.has(place)) { drawn.add(place); draw(place); } };
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) { watcher.unobserve(entry.target); once(entry.target); }
}, { rootMargin: "600px" });
for (const place of places) watcher.observe(place);
const rest = () => { const next = places.find((place) => !drawn.has(place)); if (next) { once(next); setTimeout(rest, 30); } };
setTimeout(rest, 300);
addEventListener("beforeprint", () => places.forEach(once));
