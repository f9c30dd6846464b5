// Without scripts the page is complete; with them, tables sort by their headings and the first one filters.
"use strict";
const key = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.sort ?? cell.textContent.trim();
};
for (const table of document.querySelectorAll("section:not(#by-channels) table")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a, column), key(b, column)];
        if (x === "" || y === "") return (x === "") - (y === "");  // no value: last, whichever way
        const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
}
const filter = document.getElementById("filter");
const rows = [...document.querySelectorAll("#results tbody tr")];
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const cells = [...row.cells].map((cell) => cell.textContent.trim().toLowerCase());
    // A number must be a whole cell: 8 finds 8 channels, not 98.1 %.
    row.hidden = !words.every((word) => cells.some((cell) => (isNaN(word) ? cell.includes(word) : cell === word)));
    shown += !row.hidden;
  }
  document.getElementById("shown").textContent = words.length ? `${shown} of ${rows.length} rows` : "";
});
