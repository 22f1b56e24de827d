// Calls to the server.

class Server {
  #visit = null;

  async ask(address, body) {
    const isBytes = body instanceof Uint8Array;
    let answer;
    try {
      answer = await fetch(address, body === undefined ? {} : {
        method: "POST",
        headers: { "Content-Type": isBytes ? "application/octet-stream" : "application/json" },
        body: isBytes ? body : JSON.stringify(body),
      });
    } catch {
      throw new Error("The server does not answer.");
    }
    if (!answer.ok) throw Object.assign(new Error(await answer.text()), { status: answer.status });
    return answer.json();
  }

  async enter() {
    this.#visit = (await this.ask("visit", {})).id;
    setInterval(() => this.state().catch(() => {}), 20000); // keep-alive
  }

  // A call for this page; enters again if the server has dropped the page after a long silence.
  async visit(call, body) {
    try {
      return await this.ask(this.address(call), body);
    } catch (error) {
      if (error.status !== 410) throw error;
      this.#visit = (await this.ask("visit", {})).id;
      return this.ask(this.address(call), body);
    }
  }

  address(call) {
    return `visit/${this.#visit}${call ? `/${call}` : ""}`;
  }

  state() {
    return this.visit("");
  }

  // The page closes: the server deletes what belongs to it.
  leave() {
    if (this.#visit === null) return;
    fetch(this.address("leave"), { method: "POST", keepalive: true, headers: { "Content-Type": "application/json" }, body: "{}" }).catch(() => {});
  }
}

export const server = new Server();
