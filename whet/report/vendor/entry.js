import { View, parse } from "vega";
import { compile } from "vega-lite";
import { expressionInterpreter } from "vega-interpreter";

// Draw a Vega-Lite spec without `eval`, so that a strict content security policy holds.
globalThis.drawChart = (container, spec) =>
  new View(parse(compile(spec).spec, null, { ast: true }), {
    expr: expressionInterpreter,
    renderer: "svg",
    container,
    hover: true,
  }).runAsync();
