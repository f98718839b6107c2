// A modal dialog: the browser keeps the focus in it, Escape closes it, focus returns afterwards.
import { html, useEffect, useRef } from "../ui.js";
import { t } from "../words.js";
import { Icon } from "./icons.js";

let count = 0;

export function Dialog({ title, onClose, closable = true, children }) {
  const dialog = useRef(null);
  const id = useRef(`dialog-${++count}`);
  useEffect(() => {
    const before = document.activeElement;
    const node = dialog.current;
    node.showModal();
    return () => {
      node.close(); // while it is open nothing outside can have the focus
      if (before && before.isConnected && before !== document.body) before.focus();
      else document.getElementById("main")?.focus();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    if (closable) onClose();
  };
  const outside = (event) => closable && event.target === dialog.current && onClose();
  return html`<dialog class="dialog" ref=${dialog} aria-labelledby=${id.current}
    onCancel=${cancel} onMouseDown=${outside}>
    <div class="dialog-body">
      <div class="dialog-head">
        <h2 id=${id.current}>${title}</h2>
        ${closable && html`<button class="plain icon" aria-label=${t("close")} onClick=${onClose}>
          <${Icon} name="close" /></button>`}
      </div>
      ${children}
    </div>
  </dialog>`;
}
