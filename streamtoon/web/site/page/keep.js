// Keeps the page in the browser, so that it opens without a network. The page works without.

if ("serviceWorker" in navigator) navigator.serviceWorker.register("sw.js").catch(() => {});
