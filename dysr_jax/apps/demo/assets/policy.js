"use strict";
// Which member runs next, so that frames come at a rate: the idea of dysr_jax/runtime/policy/adaptive.py, shorter.

const MARGIN = 0.95; // share of a frame's time that a member may be predicted to take
const ROOM = 1.1; // a step up leaves this much more
const WINDOW = 20; // frames that are remembered; the slowest of them is forgiven
const WAIT = 30; // frames before a step up, doubled after each that failed within as many

class RatePolicy {
  // Members `{ index, ms, psnr_y }` in any order, with their times at rest; each deadline is in ms too.
  constructor(members, deadline) {
    this.members = [];
    for (const member of [...members].sort((a, b) => a.ms - b.ms || b.psnr_y - a.psnr_y)) {
      if (!this.members.length || member.psnr_y > this.members.at(-1).psnr_y) this.members.push(member);
    }
    this.recent = new Array(WINDOW).fill(1);
    this.blocked = this.members.map(() => ({ failures: 0, until: 0 }));
    this.frame = 0;
    this.switched = 0;
    this.rose = false;
    this.at = this.best((deadline * MARGIN) / ROOM);
  }

  get index() {
    return this.members[this.at].index;
  }

  // A frame's time over its member's at rest, the slowest frame of the window left out.
  get slowdown() {
    return [...this.recent].sort((a, b) => b - a)[1];
  }

  // The best member before the first that is blocked, predicted to take at most `limit` ms; or the fastest.
  best(limit) {
    const fits = (member, i) => this.slowdown * member.ms <= limit && this.frame >= this.blocked[i].until;
    const first = this.members.findIndex((member, i) => !fits(member, i));
    return Math.max(0, (first < 0 ? this.members.length : first) - 1);
  }

  // The index of the next frame's member, after one that took `ms`.
  next(ms, deadline) {
    this.frame += 1;
    const ratio = ms / this.members[this.at].ms;
    this.recent = [...this.recent.slice(1), ratio];
    const now = this.at;
    const limit = deadline * MARGIN;
    const waited = this.frame - this.switched;
    const trial = this.rose && waited <= WAIT;
    if (this.slowdown * this.members[now].ms > limit || (trial && ms > deadline)) {
      if (trial) {
        this.blocked[now].failures += 1;
        this.blocked[now].until = this.frame + WAIT * 2 ** Math.min(this.blocked[now].failures, 6);
      }
      this.at = Math.min(this.best(limit), trial ? now - 1 : now);
      this.at = Math.max(this.at, 0);
    } else if (waited >= WAIT) {
      this.at = Math.max(this.best(limit / ROOM), now);
    }
    if (this.at !== now) {
      this.switched = this.frame;
      this.rose = this.at > now;
    }
    return this.index;
  }
}
