"use strict";
// Predictions star by star: a plot of one label, and for a chosen star its spectrum and all its labels.
(() => {
  // Strong lines in vacuum (Angstrom), and the stretch of the spectrum that shows them.
  const LINES = [
    ["Ca II H, K", [3934.8, 3969.6], 3900, 4010],
    ["Hγ, G band", [4305.6, 4341.7], 4260, 4390],
    ["Hβ", [4862.7], 4800, 4930],
    ["Mg b", [5168.7, 5174.1, 5185.0], 5120, 5240],
    ["Na D", [5891.6, 5897.6], 5840, 5950],
    ["Hα", [6564.6], 6500, 6630],
    ["Ca II triplet", [8500.4, 8544.4, 8664.5], 8460, 8700],
  ];
  const NEAR = 14;  // pixels from a click to a point

  const element = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // Round numbers from low to high, about `count` of them.
  const ticks = (low, high, count) => {
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((m) => m * power >= rough) * power;
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const found = [];
    for (let i = Math.ceil(low / step); i * step <= high + 1e-9 * step; i++) found.push([i * step, (i * step).toFixed(digits)]);
    return found;
  };

  // An empty plot as wide as its box; x and y turn values into pixels.
  const frame = (box, height, [x0, x1], [y0, y1], xTitle, yTitle) => {
    const width = Math.max(260, box.clientWidth);
    const [left, right, top, bottom] = [58, 20, 8, 40];
    const x = (v) => left + (v - x0) / (x1 - x0) * (width - left - right);
    const y = (v) => height - bottom - (v - y0) / (y1 - y0) * (height - top - bottom);
    const svg = element("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
    for (const [v, text] of ticks(x0, x1, width / 110)) {
      svg.append(element("line", { x1: x(v), x2: x(v), y1: top, y2: height - bottom, class: "grid" }));
      svg.append(element("text", { x: x(v), y: height - bottom + 15, "text-anchor": "middle" }, text));
    }
    for (const [v, text] of ticks(y0, y1, height / 60)) {
      svg.append(element("line", { x1: left, x2: width - right, y1: y(v), y2: y(v), class: "grid" }));
      svg.append(element("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, text));
    }
    svg.append(element("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xTitle));
    const middle = (top + height - bottom) / 2;
    svg.append(element("text", { x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, yTitle));
    box.replaceChildren(svg);
    return { svg, x, y };
  };

  const range = (values, margin) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const wide = (high - low || 1) * margin;
    return [low - wide, high + wide];
  };

  // Fixed digits, without a minus sign before a rounded zero; a dash where there is no value.
  const number = (value, decimals) =>
    value === null || value === undefined ? "–" : value.toFixed(decimals).replace(/^-(?=[0.]*$)/, "");

  for (const box of document.querySelectorAll(".explorer")) {
    const data = JSON.parse(box.querySelector("script").textContent);
    const worst = new Map(data.worst.map((star) => [star.at, star]));
    const byLabel = data.labels.map((label) => new Map(label.at.map((star, i) => [star, i])));
    const [labels, up, view] = ["label", "up", "window"].map((name) => box.querySelector(`select.${name}`));
    const points = box.querySelector(".points");
    const panel = box.querySelector(".star");
    const rows = [...box.querySelector(".table tbody").rows];
    let chosen = null;

    data.labels.forEach((label, i) => labels.add(new Option(label.text, i)));
    view.add(new Option("whole spectrum", ""));
    // Wavelengths are counted in the steps of the grid, in Å or in their logarithm.
    const { start, stop: end, log } = data.grid;
    const last = atob(data.worst[0].flux).length - 1;
    const counted = (place) => last * (log ? Math.log(place / start) / Math.log(end / start) : (place - start) / (end - start));
    const placeOf = (i) => (log ? start * (end / start) ** (i / last) : start + (end - start) * i / last);
    LINES.forEach(([name, , low, high], i) => {
      if (low >= start && Math.min(high, end) > low + 20) view.add(new Option(name, i));
    });

    const drawPoints = () => {
      const label = data.labels[labels.value];
      const residual = up.value === "residual";
      const unit = label.unit ? ` (${label.unit})` : "";
      if (!label.at.length) {
        points.textContent = `No value of ${label.text} can be judged.`;
        return;
      }
      const high = label.value.map((value, i) => residual ? value - label.truth[i] : value);
      const xs = range(label.truth, 0.04);
      const ys = residual ? range(high, 0.06) : range([...label.truth, ...high], 0.04);
      const { svg, x, y } = frame(points, 420, residual ? xs : ys, ys, `${label.text}, catalogue${unit}`,
        `${label.text}, ${residual ? "predicted minus catalogue" : "predicted"}${unit}`);
      const [a, b] = residual ? xs : ys;
      svg.append(element("line", { x1: x(a), x2: x(b), y1: y(residual ? 0 : a), y2: y(residual ? 0 : b), class: "one" }));
      const placed = label.at.map((star, i) => ({ star, i, x: x(label.truth[i]), y: y(high[i]) }));
      placed.sort((p, q) => worst.has(p.star) - worst.has(q.star));  // rings above dots
      for (const point of placed) {
        const kind = worst.has(point.star) ? "ring" : "dot";
        const circle = element("circle", { cx: point.x.toFixed(1), cy: point.y.toFixed(1), r: kind === "ring" ? 5 : 2.5,
          class: point.star === chosen ? `${kind} chosen` : kind, "data-obsid": data.obsids[point.star] });
        circle.append(element("title", {}, `${data.obsids[point.star]}: catalogue ${number(label.truth[point.i], label.decimals)}, ` +
          `predicted ${number(label.value[point.i], label.decimals)}${label.unit ? ` ${label.unit}` : ""}`));
        svg.append(circle);
      }
      svg.append(element("text", { x: 66, y: 22, class: "count" },
        label.at.length < label.of ? `${label.at.length} of N = ${label.of}` : `N = ${label.of}`));
      svg.addEventListener("click", (event) => {
        const place = svg.getBoundingClientRect();
        const away = (p) => Math.hypot(p.x - event.clientX + place.left, p.y - event.clientY + place.top);
        const near = placed.filter((p) => away(p) < NEAR);
        // A ring wins over the dots around it: it is what one aims at.
        near.sort((p, q) => (worst.has(q.star) - worst.has(p.star)) || away(p) - away(q));
        if (near.length) choose(near[0].star);
      });
    };

    const drawSpectrum = () => {
      const star = worst.get(chosen);
      if (!star) return;
      const bytes = Uint8Array.from(atob(star.flux), (letter) => letter.charCodeAt(0));
      const line = view.value === "" ? null : LINES[view.value];
      const [low, high] = line ? [line[2], Math.min(line[3], end)] : [start, end];
      const from = Math.max(0, Math.floor(counted(low)));
      const to = Math.min(last, Math.ceil(counted(high)));
      const flux = Array.from(bytes.subarray(from, to + 1), (byte) => star.low + byte / 255 * (star.high - star.low));
      const { svg, x, y } = frame(box.querySelector(".spectrum"), 280, [low, high], range(flux, 0.06),
        "wavelength (Å, vacuum)", "normalised flux");
      let taken = 0;
      for (const [name, places] of line ? [line] : LINES) {
        for (const [k, place] of places.entries()) {
          if (place < low || place > high) continue;
          svg.append(element("line", { x1: x(place), x2: x(place), y1: 8, y2: 240, class: "mark" }));
          if (k > 0) continue;
          const late = place > low + 0.9 * (high - low);
          const text = element("text", { x: x(place) + (late ? -3 : 3), y: 18, "text-anchor": late ? "end" : "start" }, name);
          svg.append(text);
          const room = text.getBBox();
          if (room.x < taken) text.remove();  // names that would lie on each other
          else taken = room.x + room.width + 4;
        }
      }
      const path = flux.map((value, i) => `${x(placeOf(from + i)).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      svg.append(element("polyline", { points: path, class: "flux" }));
    };

    const cell = (row, text, numeric, kind = "td") => {
      const made = document.createElement(kind);
      made.textContent = text;
      if (kind === "th") made.scope = "col";
      if (!numeric) made.className = "text";
      row.append(made);
    };

    const fillValues = () => {
      const star = worst.get(chosen);
      const table = box.querySelector("table.values");
      table.replaceChildren();
      const head = table.createTHead().insertRow();
      const others = star ? data.others : [];
      ["label", "catalogue", data.model, "sigma", "error (scatters)", ...others].forEach((text, i) => cell(head, text, i > 0, "th"));
      const body = table.createTBody();
      data.labels.forEach((label, k) => {
        const i = byLabel[k].get(chosen);
        if (i === undefined) return;
        const row = body.insertRow();
        cell(row, label.unit ? `${label.text} (${label.unit})` : label.text, false);
        const error = label.scatter ? (label.value[i] - label.truth[i]) / label.scatter : null;
        cell(row, number(label.truth[i], label.decimals), true);
        cell(row, number(label.value[i], label.decimals), true);
        cell(row, number(label.sigma[i], label.decimals), true);
        cell(row, number(error, 1), true);
        others.forEach((_, o) => cell(row, number(star.others[o][k], label.decimals), true));
      });
    };

    const choose = (star) => {
      chosen = star;
      const found = worst.get(star);
      const about = found ? `, class ${found.class}${found.snr === null ? "" : `, S/N ${found.snr.toFixed(0)} (r)`}` : "";
      panel.querySelector("h4").textContent = `obsid ${data.obsids[star]}${about}`;
      panel.querySelector(".without").hidden = Boolean(found);
      panel.querySelector(".spectrum").hidden = !found;
      panel.querySelector(".lines").hidden = !found;
      rows.forEach((row) => row.classList.toggle("chosen", row.cells[0].textContent === data.obsids[star]));
      drawPoints();
      drawSpectrum();
      fillValues();
    };

    for (const row of rows) {
      const obsid = row.cells[0].textContent;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = obsid;
      row.cells[0].replaceChildren(button);
      row.addEventListener("click", () => {
        const star = data.obsids.indexOf(obsid);
        const wanted = row.cells[3].textContent;
        const label = data.labels.findIndex((it) => wanted === (it.unit ? `${it.text} (${it.unit})` : it.text));
        if (label >= 0) labels.value = label;
        choose(star);
        panel.scrollIntoView({ block: "nearest" });
      });
    }
    labels.addEventListener("change", drawPoints);
    up.addEventListener("change", drawPoints);
    view.addEventListener("change", drawSpectrum);
    choose(data.worst[0].at);
    let width = points.clientWidth;
    new ResizeObserver(() => {
      if (points.clientWidth === width) return;
      width = points.clientWidth;
      drawPoints();
      drawSpectrum();
    }).observe(points);
  }
})();
