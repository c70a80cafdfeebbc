"use strict";
// Tables sort by a click on a heading, and filter by words and by drop-downs.
for (const box of document.querySelectorAll(".table")) {
  const table = box.querySelector("table");
  const body = table.tBodies[0];
  const original = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  // What a cell is sorted by: its number or its text; null for the dash of a missing value.
  const value = (row, column, numeric) => {
    const text = row.cells[column].dataset.v ?? row.cells[column].textContent;
    return text === "–" ? null : numeric ? parseFloat(text) : text;
  };

  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const next = before === "ascending" ? "descending" : before === "descending" ? "none" : "ascending";
      headings.forEach((other) => other.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", next);
      const numeric = !heading.classList.contains("text");
      const sign = next === "descending" ? -1 : 1;
      const compare = (a, b) => {
        const [x, y] = [value(a, column, numeric), value(b, column, numeric)];
        if (x === null || y === null) return (x === null) - (y === null);  // missing goes last, whichever way
        return sign * (numeric ? x - y : x.localeCompare(y, "en", { numeric: true }));
      };
      body.append(...(next === "none" ? original : [...original].sort(compare)));
      table.classList.toggle("sorted", next !== "none");
    });
  });

  const tools = box.querySelector(".tools");
  if (!tools) continue;
  const words = tools.querySelector("input");
  const choices = [...tools.querySelectorAll("select")];
  const count = tools.querySelector("output");
  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of original) {
      const text = row.textContent.toLowerCase();
      const fits = wanted.every((word) => text.includes(word)) &&
        choices.every((choice) => !choice.value || row.cells[+choice.dataset.column].textContent.trim() === choice.value);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown === original.length ? `${shown} rows` : `${shown} of ${original.length} rows`;
  };
  words.addEventListener("input", apply);
  choices.forEach((choice) => choice.addEventListener("change", apply));
  apply();
}

// Tables that do not fit say what is out of sight, in words and by a shadow where it goes on.
const fits = new Map();
for (const view of document.querySelectorAll(".pane")) {
  const [scroll, table, more] = [view.querySelector(".scroll"), view.querySelector("table"), view.nextElementSibling];
  const button = more.querySelector("button");
  const look = () => {
    if (!scroll.clientWidth) return;  // closed
    const head = table.tHead?.rows[0];
    const rows = [...(table.tBodies[0]?.rows ?? [])].filter((row) => !row.hidden);
    if (!head || !rows.length) {
      more.hidden = true;
      return;
    }
    const [top, left] = [scroll.scrollTop, scroll.scrollLeft];
    const below = scroll.scrollHeight - scroll.clientHeight - top > 2;
    const right = scroll.scrollWidth - scroll.clientWidth - left > 2;
    view.classList.toggle("below", below);
    view.classList.toggle("right", right);
    const seen = rows.filter((row) => row.offsetTop >= top + head.offsetHeight - 2 &&
      row.offsetTop + row.offsetHeight <= top + scroll.clientHeight + 2).length;
    const edge = left + head.cells[0].offsetWidth;  // the first column stays where it is
    const inSight = [...head.cells].filter((cell, i) => cell.offsetWidth && (i === 0 ||
      (cell.offsetLeft >= edge - 2 && cell.offsetLeft + cell.offsetWidth <= left + scroll.clientWidth + 2))).length;
    const parts = [];
    if (seen < rows.length) parts.push(`${seen} of ${rows.length} rows`);
    if (inSight < head.cells.length) parts.push(`${inSight} of ${head.cells.length} columns`);
    const narrow = [...head.cells].some((cell) => !cell.offsetWidth);
    more.hidden = !parts.length && !view.classList.contains("whole");
    more.firstElementChild.textContent = parts.length ? `${parts.join(" and ")} shown; scroll for the others.` : "";
    button.hidden = !(seen < rows.length || narrow || view.classList.contains("whole"));
  };
  button.addEventListener("click", () => {
    button.textContent = view.classList.toggle("whole") ? "Show less" : "Show all";
    look();
  });
  scroll.addEventListener("scroll", look, { passive: true });
  fits.set(scroll, look).set(table, look);
}
const sizes = new ResizeObserver((entries) => new Set(entries.map((entry) => fits.get(entry.target))).forEach((look) => look()));
for (const element of fits.keys()) sizes.observe(element);

// Figures open large: Escape closes, arrows go through them, a click shows every pixel.
const zoom = document.getElementById("zoom");
const figures = [...document.querySelectorAll("figure")];
const large = zoom.querySelector("img");
let current = 0;
const show = (number) => {
  current = (number + figures.length) % figures.length;
  const small = figures[current].querySelector("img");
  large.src = small.src;
  large.alt = small.alt;
  large.classList.remove("whole");
  zoom.querySelector(".caption").textContent = small.alt;
  zoom.querySelector(".files").innerHTML = figures[current].querySelector(".files").innerHTML;
};
figures.forEach((figure, number) => {
  figure.querySelector("button").addEventListener("click", () => {
    show(number);
    zoom.showModal();
  });
});
large.addEventListener("click", () => large.classList.toggle("whole"));
zoom.addEventListener("click", (event) => {
  if (event.target === zoom || event.target.className === "stage") zoom.close();
});
zoom.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") show(current + 1);
  if (event.key === "ArrowLeft") show(current - 1);
});

// The contents mark the section that is read.
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const list = document.querySelector("nav ul");
const watch = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    links.forEach((link) => link.removeAttribute("aria-current"));
    const link = links.get(entry.target.id);
    link.setAttribute("aria-current", "true");
    list.scrollLeft = link.offsetLeft - list.offsetLeft - 40;
  }
}, { rootMargin: "-20% 0px -75% 0px" });
document.querySelectorAll("main > section").forEach((section) => watch.observe(section));
