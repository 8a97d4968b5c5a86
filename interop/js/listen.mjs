// Every server here ends the same way: it listens on loopback (PORT 0 takes any free port), says where,
// answers a health check, and stops when asked.

/** Starts `app` and prints "<name> listening on <url>". */
export function listen(app, name, port) {
  app.get("/health", (_req, res) => res.json({ status: "ok" }));
  app.post("/close", (_req, res) => {
    res.json({ message: "closing" });
    res.on("finish", () => process.exit(0));
  });
  const server = app.listen(Number(port), "127.0.0.1", () => {
    console.log(`${name} listening on http://127.0.0.1:${server.address().port}`);
  });
}
