"use strict";
// Shows the values nearest to the pointer, read from the data that stands beside each chart.
for (const svg of document.querySelectorAll("figure svg")) {
  const data = JSON.parse(svg.nextElementSibling.textContent);
  const pointer = svg.querySelector(".pointer");
  const tip = document.getElementById("tip");
  const map = data.log ? Math.log10 : (value) => value;
  const low = map(data.low), high = map(data.high);
  const nearest = (points, x) => {
    let from = 0, to = points.length - 1;
    while (to - from > 1) {
      const middle = (from + to) >> 1;
      if (map(points[middle][0]) <= x) from = middle; else to = middle;
    }
    return Math.abs(map(points[to][0]) - x) < Math.abs(map(points[from][0]) - x) ? points[to] : points[from];
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const px = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
    if (px < data.left || px > data.right) return hide();
    const x = low + (px - data.left) / (data.right - data.left) * (high - low);
    const lines = data.series.filter(([, points]) => points.length)
      .map(([name, points]) => [name, nearest(points, x)]);
    if (!lines.length) return hide();
    pointer.setAttribute("x1", px); pointer.setAttribute("x2", px);
    pointer.style.visibility = tip.style.visibility = "visible";
    const show = (value) => value === null ? "–" : String(Number(value.toPrecision(4)));
    tip.textContent = [show(lines[0][1][0]) + " " + data.x.split(" ")[0],
      ...lines.map(([name, point]) => name + ": " + show(point[1]))].join("\n");
    tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
    tip.style.top = (event.clientY + 14) + "px";
  });
  const hide = () => { pointer.style.visibility = tip.style.visibility = "hidden"; };
  svg.addEventListener("pointerleave", hide);
}
