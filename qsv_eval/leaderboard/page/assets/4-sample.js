"use strict";
// Details of a sample: question, frames and cubes, reply, and outcome.

/** Return a text, or its beginning with a button that loads the rest. */
function textOf(value, className = "text") {
  if (typeof value !== "object") return make("pre", { className }, value === undefined || value === "" ? "–" : value);
  const text = make("pre", { className }, `${value.start}…`);
  const button = make("button", { type: "button", className: "link" }, `Show all ${value.characters.toLocaleString("en")} characters`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      text.textContent = await load(value.all);
      button.remove();
    } catch (error) {
      button.disabled = false;
      button.textContent = error.message;
    }
  });
  return make("div", {}, text, button);
}

const plainText = (value) => (value === undefined ? "" : typeof value === "object" ? value.start : value);

function optionList(sample) {
  const answer = plainText(sample.answer);
  const items = sample.options.map((option, index) => {
    const letter = String.fromCharCode(65 + index);
    const isRight = answer === letter, isTaken = sample.extracted === letter;
    const notes = [isRight ? "right" : "", isTaken ? "read from the reply" : ""].filter(Boolean);
    return make("li", { className: [isRight ? "right" : "", isTaken ? "taken" : ""].join(" ").trim() },
      plainText(option), notes.length ? make("small", {}, notes.join(", ")) : null);
  });
  return make("ul", { className: "options" }, items);
}

const clock = (seconds) => {
  const whole = Math.floor(seconds / 60);
  return whole ? `${whole}:${String(Math.floor(seconds % 60)).padStart(2, "0")}` : `${Number(seconds.toFixed(1))} s`;
};

function film(frames) {
  return make("div", { className: "film" }, frames.images.map((image, index) =>
    make("figure", {}, make("img", { src: image, alt: `frame at ${clock(frames.times[index])}`, width: frames.width, height: frames.height }),
      make("figcaption", {}, clock(frames.times[index])))));
}

/** Return the cubes as a strip, each as wide as its duration, or as its number of frames if times are unknown. */
function timeline(video) {
  const timed = video.cubes.every((cube) => cube[2] !== null && cube[3] !== null);
  const strip = make("div", { className: "timeline", role: "img", "aria-label": `${video.cubes.length} cubes over ${video.frames} frames` });
  video.cubes.forEach(([first, frames, start, end], index) => {
    const when = timed ? `${clock(start)} to ${clock(end)}` : `from frame ${first}`;
    const part = make("i", { title: `cube ${index + 1}: ${when}, ${frames} frames` });
    part.style.flexGrow = timed ? Math.max(end - start, 0.01) : frames;
    strip.append(part);
  });
  const [firstCube, lastCube] = [video.cubes[0], video.cubes.at(-1)];
  const lost = video.lost ? `, ${video.lost} frames could not be decoded` : "";
  return make("div", {}, strip, make("div", { className: "ends" },
    make("span", {}, timed ? clock(firstCube[2]) : "first frame"),
    make("span", {}, `${video.cubes.length} cubes, ${video.frames} frames${lost}`),
    make("span", {}, timed ? clock(lastCube[3]) : "last frame")));
}

function framesAndCubes(sample) {
  const parts = [make("h3", {}, "Frames")];
  if (sample.frames) {
    const frames = make("div");
    fill(frames, sample.frames, film);
    parts.push(frames);
  } else {
    parts.push(make("p", { className: "missing" }, `No thumbnails: ${sample.why || "the reason is unknown"}.`));
  }
  const videos = (sample.use?.videos ?? []).filter((video) => video.cubes.length);
  if (videos.length) parts.push(make("h3", {}, "Cubes"), ...videos.map(timeline));
  else parts.push(make("p", { className: "count" }, "The cubes are unknown, because the run has no journal with this answer."));
  return parts;
}

function sampleView(sample) {
  const use = sample.use;
  return [
    make("h3", {}, "Question"), textOf(sample.question),
    sample.options ? optionList(sample) : null,
    make("h3", {}, "Reply"), textOf(sample.reply, "text reply"),
    facts([
      ["outcome", sample.outcome ? make("span", { className: `outcome ${sample.outcome}` }, sample.outcome) : ""],
      ["read from the reply", sample.extracted === undefined ? "" : textOf(sample.extracted)], ["by the rule", sample.rule],
      ["right answer", sample.answer === undefined ? "" : textOf(sample.answer)],
      ["score", sample.score], ["why no score", sample.reason],
      ["verdicts", sample.verdicts ? Object.entries(sample.verdicts).map(([name, value]) => `${name} ${value}`).join(", ") : ""],
    ]),
    ...framesAndCubes(sample),
    make("h3", {}, "Also"),
    facts([
      ["video or image", sample.video],
      ...Object.entries(sample.groups ?? {}).map(([name, values]) => [name, values.join(", ")]),
      ["tokens", use ? `${use.prompt} read, ${use.tokens} of them visual` : ""], ["seconds", use?.seconds],
      ["degraded", use?.degraded ? "uses fewer frames because memory ran out" : ""],
    ]),
  ];
}
