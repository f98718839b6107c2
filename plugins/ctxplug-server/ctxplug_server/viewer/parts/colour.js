// Colours of the style sheet as values, for what is drawn on a canvas.

// The colour of a tone, such as "kept" or "accent", as "rgb(...)" in the theme that holds now.
export function colourOf(tone) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(--${tone})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
