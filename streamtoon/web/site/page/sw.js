// Keeps the site in the browser, so that it opens without a network. The build writes version and files into it.

const SITE = { version: "", files: [] };
const NAME = "streamtoon-" + SITE.version;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(NAME);
    await cache.addAll(SITE.files.map((file) => new Request(new URL(file, self.registration.scope), { cache: "no-cache" })));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith("streamtoon-") && name !== NAME);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  const address = new URL(event.request.url);
  address.search = "";
  if (address.href === self.registration.scope) address.pathname += "index.html";
  event.respondWith((async () => {
    const cache = await caches.open(NAME);
    return (await cache.match(address.href)) ?? fetch(event.request);
  })());
});
