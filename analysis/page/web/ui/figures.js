// Figures are unpacked when they come near the screen: a page with fifty of them opens as one with none.

async function unpack(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (each) => each.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Blob([await new Response(stream).arrayBuffer()], { type: "image/svg+xml" });
}

async function show(image) {
  const name = image.dataset.packed;
  if (image.src || !name) return;
  delete image.dataset.packed;
  image.decoding = "async";
  image.src = URL.createObjectURL(await unpack(`packed-${name}`));
  const link = document.querySelector(`a[data-saves="${name}"]`);
  link.href = image.src;
  link.download = `${name}.svg`;
}

export function startFigures() {
  const images = document.querySelectorAll("img[data-packed]");
  const near = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        show(target);
      }
    },
    { rootMargin: "800px" },
  );
  images.forEach((each) => near.observe(each));
  addEventListener("beforeprint", () => images.forEach(show));
}
