"use strict";
// The clip at a rate. Frames that come too late are left out; a member is changed between two frames only.

const SHOWN_FRAMES = 100;

class Player {
  // `upscale(picture)` draws a frame by member `index()`, which `choose` sets; `timed()` are all, as measured.
  constructor(frames, { upscale, choose, index, timed, ended }) {
    Object.assign(this, { frames, upscale, choose, index, timed, ended });
    this.number = 0;
    this.rate = 24;
    this.adapts = true;
    this.history = [];
    this.current = null; // the loop that may go on
  }

  get playing() {
    return this.current !== null;
  }

  get deadline() {
    return 1000 / this.rate;
  }

  // The frame that is due, forwards and backwards for ever.
  get picture() {
    const last = this.frames.length - 1;
    const at = this.number % (2 * last || 1);
    return this.frames[at > last ? 2 * last - at : at];
  }

  // Whatever the rate or its members are now: the policy begins again.
  adapt() {
    this.policy = this.adapts ? new RatePolicy(this.timed(), this.deadline) : null;
    if (this.policy) this.choose(this.policy.index);
    this.due = performance.now();
    this.history = [];
  }

  play() {
    if (!this.playing) this.done = this.run();
    return this.done;
  }

  // Resolves when no frame is on its way any more.
  stop() {
    this.current = null;
    return this.done;
  }

  async run() {
    const own = (this.current = Symbol("loop"));
    this.adapt();
    try {
      while (this.current === own) {
        const wait = this.due - performance.now();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        if (this.current !== own) break;
        const [began, member, policy] = [performance.now(), this.index(), this.policy];
        await this.upscale(this.picture);
        const now = performance.now();
        this.note({ ms: now - began, member, at: now });
        if (policy && policy === this.policy) this.choose(policy.next(now - began, this.deadline));
        const steps = 1 + Math.max(0, Math.floor((now - this.due) / this.deadline));
        this.number += steps;
        this.due += steps * this.deadline;
      }
    } finally {
      if (this.current === own) this.current = null;
      if (!this.playing) this.ended();
    }
  }

  note(frame) {
    this.history.push({ ...frame, late: frame.ms > this.deadline });
    this.history = this.history.slice(-SHOWN_FRAMES);
    drawTimeline(this.history, this.deadline);
    const [first, last] = [this.history[0], this.history.at(-1)];
    const fps = this.history.length > 1 ? (1000 * (this.history.length - 1)) / (last.at - first.at) : 0;
    const late = this.history.filter((each) => each.late).length;
    byId("clip-note").textContent = `${rounded(fps)} frames/s shown; ${late} of the last ${this.history.length} were late.`;
  }
}
