"""A wheel that pip installs without a network: headgate as it is in this checkout."""

import site
import sysconfig
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_INFO = "headgate-0.0.0.dist-info"


def write_wheel(folder: Path) -> Path:
    """Writes a wheel whose package is the checkout, with the packages of this environment."""
    wheel = folder / "headgate-0.0.0-py3-none-any.whl"
    places = [str(ROOT / "src"), sysconfig.get_path("purelib"), *site.getsitepackages()]
    files = {
        "headgate-checkout.pth": "".join(f"{place}\n" for place in dict.fromkeys(places)),
        f"{_INFO}/METADATA": "Metadata-Version: 2.1\nName: headgate\nVersion: 0.0.0\n",
        f"{_INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{_INFO}/entry_points.txt": "[console_scripts]\nheadgate = headgate.cli.main:main\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{_INFO}/RECORD"))
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{_INFO}/RECORD": record}.items():
            archive.writestr(name, text)
    return wheel
