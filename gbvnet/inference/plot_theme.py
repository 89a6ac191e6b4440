"""Plotly figures in the colours of the page around them: light, or dark where the reader's system or page is dark.

SCRIPT defines `plotTheme(figure, dark)` for a page in which Plotly is loaded; it can be called again at any time.
"""

from ..report.figures import INK, RIGHT, SOFT

# What is drawn in these colours on white is drawn in the others on black.
_ON_BLACK = {RIGHT: "#56B4E9", INK: "#E6EAEE", SOFT: "#AAB4BE"}
_PAIRS = ", ".join(f"['{light}', '{dark}']" for light, dark in _ON_BLACK.items())

SCRIPT = (
    """
function plotTheme(figure, dark) {
  const back = dark ? 'rgba(0,0,0,0)' : '#ffffff', ink = dark ? '#D5DBE1' : '#2A3F5F';
  const grid = dark ? '#3A434D' : '#EBF0F8', box = dark ? '#20262D' : '#ffffff';
  const layout = figure._fullLayout, done = figure.plotTheme;
  // A figure that is drawn anew has another layout, in the colours of its template.
  if (!layout || (done?.layout === figure.layout ? done.dark === dark : !dark)) return;
  figure.plotTheme = {layout: figure.layout, dark};
  const changed = {paper_bgcolor: back, plot_bgcolor: back, 'font.color': ink, 'hoverlabel.bgcolor': box,
    'hoverlabel.font.color': ink, 'legend.bgcolor': 'rgba(0,0,0,0)'};
  for (const name of Object.keys(layout).filter(name => /^[xy]axis[0-9]*$/.test(name))) {
    changed[name + '.gridcolor'] = grid;
    changed[name + '.zerolinecolor'] = grid;
    changed[name + '.linecolor'] = grid;
  }
  const pairs = [PAIRS], from = dark ? 0 : 1, to = dark ? 1 : 0;
  const other = (line) => pairs.find(pair => pair[from] === line?.color)?.[to];
  (figure.layout.shapes || []).forEach((shape, k) => {
    if (other(shape.line)) changed[`shapes[${k}].line.color`] = other(shape.line);
  });
  window.Plotly.relayout(figure, changed);
  figure.data.forEach((trace, k) => {
    if (other(trace.line)) window.Plotly.restyle(figure, {'line.color': other(trace.line)}, [k]);
  });
}
"""
).replace("[PAIRS]", f"[{_PAIRS}]")
