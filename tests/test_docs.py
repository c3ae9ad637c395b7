"""The documents say what the code does, or these tests fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from channels.registry import kinds
from gateway.cli import app
from gateway.config import Config
from gateway.metrics import Metrics
from gateway.schemas import documents
from normalizer.model import Outcome

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs/OPERATING.md").read_text(encoding="utf-8")
CONFIG = (ROOT / "config.yaml").read_text(encoding="utf-8")
PAGES = sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")) + sorted(ROOT.glob("bench/*.md"))


@pytest.mark.parametrize("name", ["hotline-matter.json", "config.json", "openapi.json"])
def test_generated_schemas_have_not_drifted(name: str) -> None:
    written = (ROOT / "docs/schema" / name).read_text(encoding="utf-8")
    assert written == documents()[name], "run: make schema"


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_of_channel_is_in_the_readme_and_in_config_yaml(kind: str) -> None:
    assert f"| `{kind}` |" in README
    assert f"kind: {kind}" in CONFIG


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_explained_to_operators(outcome: Outcome) -> None:
    assert f"`{outcome}`" in OPERATING


def test_every_metric_is_explained_to_operators() -> None:
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}" in OPERATING, name


def test_every_section_of_the_configuration_is_in_config_yaml_or_has_no_settings() -> None:
    for name, field in Config.model_fields.items():
        settings = getattr(field.annotation, "model_fields", {"channels": None})
        assert f"\n{name}:" in CONFIG or not settings, name


def test_every_command_is_in_the_changelog_or_the_readme_and_has_help() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        assert command.help, name
        assert re.search(rf"`(gateway )?{name}\b", README + (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_named_in_the_documents_exist(page: Path) -> None:
    for name in re.findall(
        r"`((?:gateway|channels|normalizer|dedupe|store|tests|bench|docs)/[\w./-]+\.\w+)", page.read_text("utf-8")
    ):
        assert (ROOT / name).exists(), name
