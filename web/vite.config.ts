import { defineConfig } from "vite";

// Served below /ui/ by the gateway, be it behind a proxy that takes a part of the path away: so every address is relative.
export default defineConfig({
  base: "./",
  build: {
    target: "es2023",
    // What is inlined as data: would have to be allowed by the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // `npm run dev` shows the page while it is being edited; ASSAY_URL is the gateway that it asks (see .dev/env).
  server: { proxy: { "/api": process.env["ASSAY_URL"] ?? "http://127.0.0.1:8080" } },
});
