"""The last good forms of quarantined objects, and what they served, over restarts."""

import json
from pathlib import Path

from headgate.compile.quarantine import LastGood
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Listener
from headgate.plan.plan import entry
from headgate.providers.master.forms import LastForms

WEB = entry("listener", "web", Listener(("127.0.0.1:80",), "http"))
DNS = entry("listener", "dns", Listener(("127.0.0.1:53",), "udp"))
ROUTE = ObjectKey("route", ObjectName("r"))
GOOD = LastGood(
    {WEB.key: WEB, DNS.key: DNS},
    defaults={"web": True, "dns": False},
    stood={ROUTE: {("web", "*"): "d1", ("web", "a.example"): "d2"}},
)


def test_what_is_quarantined_comes_back_with_what_it_served(tmp_path: Path) -> None:
    forms = LastForms(tmp_path)
    forms.write(GOOD, {WEB.key})
    found = forms.read()
    assert found.objects == {WEB.key: WEB}
    assert set(found.quarantined) == {WEB.key}
    assert found.defaults == GOOD.defaults
    assert found.stood == GOOD.stood
    forms.write(GOOD, ())
    assert forms.read() == LastGood()


def test_a_file_of_an_earlier_version_does_not_say_what_a_form_served(tmp_path: Path) -> None:
    forms = LastForms(tmp_path)
    forms.write(GOOD, {WEB.key})
    (path,) = tmp_path.iterdir()
    text = json.loads(path.read_bytes())
    del text["defaults"], text["stood"]
    path.write_text(json.dumps(text))
    found = forms.read()
    assert found.objects == {WEB.key: WEB}
    assert not found.stood
