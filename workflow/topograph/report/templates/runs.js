// Search and sorting of the tables of runs; without it they are whole and in order.
"use strict";

const search = document.getElementById("search");
const state = document.getElementById("state");
const rows = [...document.querySelectorAll("table.cells tbody tr")].map((element) => ({
  element,
  text: `${element.closest("section").querySelector("h2").textContent} ${element.textContent}`.toLowerCase(),
}));

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) row.element.hidden = !words.every((word) => row.text.includes(word));
  for (const section of document.querySelectorAll("section.experiment"))
    section.hidden = !section.querySelector("tbody tr:not([hidden])");
  const shown = rows.filter((row) => !row.element.hidden).length;
  state.textContent = `${shown} of ${rows.length} cells shown`;
}

function value(row, column) {
  const cell = row.cells[column];
  if (cell.classList.contains("absent")) return null;
  const text = cell.dataset.value ?? cell.textContent.trim();
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sort(heading) {
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  const column = heading.cellIndex, body = heading.closest("table").tBodies[0];
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  body.append(...[...body.rows].sort((first, second) => {
    const a = value(first, column), b = value(second, column);
    // What has no value stays last either way.
    if (a === null || b === null) return (a === null) - (b === null);
    return ascending ? compare(a, b) : compare(b, a);
  }));
  const order = ascending ? "ascending" : "descending";
  state.textContent = `Sorted by ${heading.textContent}, ${order}`;
}

for (const heading of document.querySelectorAll("table.cells thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  button.addEventListener("click", () => sort(heading));
  heading.append(button);
}
search.form.hidden = false;
search.form.addEventListener("submit", (event) => event.preventDefault());
search.addEventListener("input", filter);
filter();
