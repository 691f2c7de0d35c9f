"""What alerts say, key by key and reading by reading: a reading of docs/operators.md that shares nothing with the operator."""


def alerts(readings, args, end):
    """What is said of one key up to `end`: [reading, state, kind, start, time]. Readings: [number, time, raise, clear]."""
    second = 1_000_000
    out = []

    class Watch:
        def __init__(self, kind, after):
            self.kind, self.after, self.reading, self.next = kind, after, None, None
            self.raised = False

        def begin(self, number, time):
            self.reading, self.raised, self.next = (number, time), False, time + self.after * second

        def say(self, state, time):
            out.append([self.reading[0], state, self.kind, self.reading[1], time])

        def end(self, state, time):
            if self.reading and self.raised:
                self.say(state, time)
            self.reading, self.raised, self.next = None, False, None

        def run(self, until):
            """What is due before `until`."""
            while self.reading and self.next is not None and self.next < until:
                self.say("reminded" if self.raised else "raised", self.next)
                self.raised = True
                self.next = self.next + args["remind"] * second if args["remind"] else None

    condition, absence = Watch("condition", args["for"]), Watch("absent", args["absent"])
    for number, time, raise_, clear in readings + [[None, end + 1, None, None]]:
        forget = absence.reading and absence.reading[1] + args["forget"] * second
        if forget and forget < time:
            condition.run(forget + 1)
            absence.run(forget + 1)
            condition.end("forgotten", forget)
            absence.end("forgotten", forget)
        condition.run(time)
        absence.run(time)
        if number is None:
            break
        absence.end("cleared", time)
        if args["absent"]:
            absence.begin(number, time)
        if condition.reading is None:
            if raise_:
                condition.begin(number, time)
                if not args["for"]:
                    condition.run(time + 1)
        elif condition.raised:
            if clear and not raise_:
                condition.end("cleared", time)
        elif raise_ is False or (raise_ is None and clear):
            condition.end("", time)
    return [row for row in out if row[4] <= end]
