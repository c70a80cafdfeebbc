"use strict";
// Tables sort by a click on a heading, and filter by words and by drop-downs; figures open large on a click.
for (const box of document.querySelectorAll(".table")) {
  const table = box.querySelector("table");
  const body = table.tBodies[0];
  const original = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const value = (row, column) => row.cells[column].dataset.v ?? "";

  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const next = before === "ascending" ? "descending" : before === "descending" ? "none" : "ascending";
      headings.forEach((other) => other.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", next);
      const numeric = heading.classList.contains("number");
      const sign = next === "descending" ? -1 : 1;
      const compare = (a, b) => {
        const [x, y] = [value(a, column), value(b, column)];
        if (x === "" || y === "") return (x === "") - (y === "");  // missing goes last, whichever way
        return sign * (numeric ? parseFloat(x) - parseFloat(y) : x.localeCompare(y, "en", { numeric: true }));
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

const zoom = document.getElementById("zoom");
for (const button of document.querySelectorAll("figure button")) {
  button.addEventListener("click", () => {
    const small = button.querySelector("img");
    const large = zoom.querySelector("img");
    large.src = small.src;
    large.alt = small.alt;
    zoom.showModal();
  });
}
zoom.addEventListener("click", () => zoom.close());
