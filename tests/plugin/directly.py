"""A controller without threads: work is done where it is asked for."""

from napari.layers import Labels

from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.plugin.controller import Controller
from napari_biomedparse.plugin.worker import Failure

SMALL = slice(0, 160), slice(0, 200)


def only(viewer):
    (layer,) = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    return layer


class Now:
    """Work waits until :meth:`go_on`, which does it in this thread."""

    def __init__(self):
        self.jobs, self.held = [], False

    def __call__(self, work, seen, ended):
        self.jobs.append(_Job(work(), seen, ended))
        return self.jobs[-1]

    def go_on(self):
        while self.jobs and not self.held:
            self.jobs.pop(0).go_on()


class Direct(Controller):
    """A controller whose work is done when its methods return, unless it is held."""

    def find(self, *arguments):
        super().find(*arguments)
        self._start.go_on()

    def again(self, *arguments):
        super().again(*arguments)
        self._start.go_on()

    def settle(self):
        super().settle()
        self._start.go_on()


class _Job:
    def __init__(self, events, seen, ended):
        self.events, self.seen, self.ended, self.done = events, seen, ended, False

    def go_on(self, count=None):
        while not self.done and (count is None or count > 0):
            count = None if count is None else count - 1
            try:
                event = next(self.events)
            except StopIteration:
                self.done = True
                self.ended(None)
            except BiomedParseError as error:
                self.done = True
                self.ended(Failure(str(error)))
            else:
                self.seen(event)

    def quit(self):
        self.done = True
        self.events.close()
