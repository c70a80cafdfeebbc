"""One kind of error for everything a user can put right."""


class StarglotError(Exception):
    """A problem that a user can solve: what is wrong, where, what was allowed, what to do next.

    Scripts print it without a traceback and exit with status 1.
    """

    def __init__(self, what: str, *, where: object = None, allowed: object = None, todo: str | None = None):
        self.what, self.where, self.allowed, self.todo = what, where, allowed, todo
        super().__init__(self._render())

    def _render(self) -> str:
        lines = [self.what]
        if self.where is not None:
            lines.append(f"  where:   {self.where}")
        if self.allowed is not None:
            lines.append(f"  allowed: {self.allowed}")
        if self.todo is not None:
            lines.append(f"  to do:   {self.todo}")
        return "\n".join(lines)
