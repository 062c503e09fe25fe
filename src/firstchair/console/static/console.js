"use strict";
// Tables are sorted by a click on a heading; without scripts they stand in their own order.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (!table.tHead || !body || body.rows.length < 2) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [row, valueOf(row.cells[column])]);
      rows.sort(([, a], [, b]) => compared(a, b) * (down && known(a) && known(b) ? -1 : 1));
      body.append(...rows.map(([row]) => row));
    });
  });
}

function valueOf(cell) {
  const text = cell ? cell.innerText.trim() : "";
  const number = text.replace(/[,%\s]/g, "").replace("−", "-");
  if (text === "–" || text === "") return null;
  return /^[+-]?\d+(\.\d+)?$/.test(number) ? Number(number) : text;
}

function known(value) {
  return value !== null;
}

function compared(a, b) {
  if (!known(a) || !known(b)) return known(b) - known(a);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}
