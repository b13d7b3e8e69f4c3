"""What `make install` and `make demo` leave behind."""

import os
import subprocess

import drtool as drtool_lib
import pg


def test_installation_has_the_program_manual_pages_completions_and_examples():
    to = pg.temp_dir("install")
    env = {"PATH": os.environ["PATH"], "DESTDIR": str(to), "PREFIX": "/usr", "HOME": str(to)}
    subprocess.run(["make", "-s", "install", f"DESTDIR={to}", "PREFIX=/usr"], cwd=drtool_lib.ROOT, env=env, check=True, timeout=500)
    files = {str(p.relative_to(to)) for p in to.rglob("*") if p.is_file()}
    for expected in ("usr/bin/drtool", "usr/share/man/man1/drtool.1", "usr/share/man/man1/drtool-restore.1",
                     "usr/share/bash-completion/completions/drtool", "usr/share/zsh/site-functions/_drtool",
                     "usr/share/drtool/examples/drtool.cron", "usr/share/drtool/examples/drtool.yaml"):
        assert expected in files, expected
        assert (to / expected).stat().st_size > 100
    assert oct((to / "usr/bin/drtool").stat().st_mode & 0o777) == "0o755"
    for script, shell in (("usr/share/bash-completion/completions/drtool", "bash"), ("usr/share/zsh/site-functions/_drtool", "zsh")):
        if subprocess.run(["which", shell], capture_output=True).returncode == 0:
            subprocess.run([shell, "-n", to / script], check=True)
    for page in (to / "usr/share/man/man1").iterdir():
        text = page.read_text()
        assert text.startswith(".TH") or "\n.TH" in text, page.name
