import { describe, expect, it } from 'vitest';
import { fault, ScriptedMachine } from './testing/scripted-machine.ts';
import { TRACE_KIND_NAMES } from './trace.ts';
import { traceResult, traceText } from './trace-text.ts';

describe('the trace as text', () => {
  it('prints calls by their rows: names, struct fields, outputs, results', () => {
    const machine = new ScriptedMachine();
    const guest = machine.guest([
      function* (g) {
        g.setMask(0);
        yield* g.call(3, 0xe021, 0xc000_1f00);
        yield* g.evtchn(1, 1, 0, 0);
        yield* g.evtchn(1, 1, 0, 0);
        yield* g.evtchn(7, 0, 0);
        yield* g.evtchn(4, 2);
        yield* g.call(17, 0, 0);
        yield* g.call(15, 5, 1);
        yield* g.call(24, 3, 0, 0);
        yield* g.call(77);
        yield fault(14, 3, 0x1234);
      },
    ]);
    machine.run();
    expect(guest.domain.end?.reason).toBe('poweroff');
    const { trace } = machine.hv;
    const lines = Array.from({ length: trace.total }, (_, slot) => {
      const result = traceResult(trace, slot);
      return `${TRACE_KIND_NAMES[trace.kind[slot]!]} ${traceText(trace, slot)}${result === '' ? '' : ` = ${result}`}`;
    });
    expect(lines).toEqual([
      'switch offline -> runnable',
      'switch runnable -> running',
      'hypercall stack_switch(ss 0xe021, esp 0xc0001f00) = 0',
      'hypercall event_channel_op EVTCHNOP_bind_virq { virq 1, vcpu 0, port -> 1 } = 0',
      'hypercall event_channel_op EVTCHNOP_bind_virq { virq 1, vcpu 0 } = -EEXIST',
      'hypercall event_channel_op EVTCHNOP_bind_ipi { vcpu 0, port -> 2 } = 0',
      'hypercall event_channel_op EVTCHNOP_send { port 2 } = 0',
      'event event from port 2 to d1 port 2',
      'upcall upcall at c0000002 in ring 1',
      'hypercall xen_version XENVER_version(arg NULL) = 0x40011',
      'hypercall set_timer_op(timeout 0x100000005) = 0',
      'hypercall vcpu_op VCPUOP_is_up(vcpuid 0, arg NULL) = 1',
      'hypercall hypercall 77 = -ENOSYS',
      'exception #PF at c0000000 in ring 1, code 3',
      'hypercall sched_op_compat SCHEDOP_shutdown(value 0x0)',
      'domain domain ended, reason 0',
      'switch running -> offline',
    ]);
  });

  it('keeps the newest events when the ring is full', () => {
    const machine = new ScriptedMachine();
    machine.guest([
      function* (g) {
        for (let i = 0; i < 20_000; i++) yield* g.call(3, 0xe021, i);
      },
    ]);
    machine.check = () => {};
    machine.run();
    const { trace } = machine.hv;
    expect(trace.total).toBeGreaterThan(20_000);
    expect(trace.slotOf(0)).toBe(-1);
    expect(trace.slotOf(trace.total)).toBe(-1);
    const slot = trace.slotOf(trace.total - 4);
    expect(traceText(trace, slot)).toBe('stack_switch(ss 0xe021, esp 0x4e1f)');
    expect(trace.calls[3]).toBe(20_000);
  });
});
