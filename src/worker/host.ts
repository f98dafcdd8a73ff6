/** The worker's clocks. A message to oneself comes after the commands that wait, and without a timer's minimum. */
import type { Host } from './lab.ts';

export function workerHost(): Host {
  const channel = new MessageChannel();
  let callbacks: (() => void)[] = [];
  channel.port1.onmessage = () => {
    const due = callbacks;
    callbacks = [];
    for (const callback of due) callback();
  };
  return {
    wallMs: () => performance.now(),
    soon(callback) {
      callbacks.push(callback);
      if (callbacks.length === 1) channel.port2.postMessage(null);
    },
    after(ms, callback) {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
  };
}
