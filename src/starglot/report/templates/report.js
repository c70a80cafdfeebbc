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
