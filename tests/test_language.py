"""The language of short texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normalizer.language import READ, identify, language


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("路灯坏了", "zh"),
        ("停水", "zh"),
        ("A3区B小区wifi信号差", "zh"),
        ("鲜の味餐厅油烟扰民", "zh"),
        ("见 https://example.org/a/very/long/path?with=words 谢谢", "zh"),
        ("臺北路路燈壞了", "zh"),
        ("道路の照明が壊れています", "ja"),
        ("ありがとう", "ja"),
        ("가로등이 고장났어요", "ko"),
        ("གློག་མེད།", "bo"),
        ("ᠮᠣᠩᠭᠣᠯ", "mn"),
        ("ꆈꌠꉙ", "ii"),
        ("ไฟถนนเสีย", "th"),
        ("OK", "en"),
        ("street lamp broken", "en"),
        ("ＨＥＬＬＯ", "en"),
        ("Where can I renew my residence permit?", "en"),
        ("My name is Anna, I live near 泉城 square and the bus stop is dirty", "en"),
        ("Où puis-je renouveler mon visa ?", "fr"),
        ("Die Straßenlaterne vor meinem Haus ist kaputt", "de"),
        ("¿Dónde puedo renovar mi visado?", "es"),
        ("Tôi muốn gia hạn thị thực ở đâu?", "vi"),
        ("Где я могу продлить визу?", "ru"),
        ("Сәлеметсіз бе, визамды қайда ұзарта аламын?", "kk"),
        ("Сайн байна уу, виз хаана сунгуулах вэ?", "mn"),
        ("أين يمكنني تجديد تأشيرتي؟", "ar"),
        ("ۋىزامنى قەيەردە ئۇزارتالايمەن؟", "ug"),
        ("\u0674وتىنەمىن جولدى جوندەڭىزدەر", "kk"),
        ("کجا می‌توانم ویزای خود را تمدید کنم؟", "fa"),
        ("मेरा वीज़ा कहाँ बढ़ाया जा सकता है?", "hi"),
    ],
)
def test_language(text: str, code: str) -> None:
    assert language(text) == code


@pytest.mark.parametrize(
    "text", ["", " ", "12345", "？？？", "😀👍", "https://example.org", "a.b@example.org", "\ufffd"]
)
def test_no_letters_no_language(text: str) -> None:
    assert language(text) is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("路灯坏了", "language.script"),
        ("OK", "language.script"),
        ("Où puis-je renouveler mon visa ?", "language.model"),
    ],
)
def test_the_rule_is_named(text: str, rule: str) -> None:
    assert identify(text)[1] == rule


@settings(deadline=None)
@given(
    st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1),
    st.text(st.sampled_from("0123，。A ")),
)
def test_chinese_characters_are_chinese(words: str, rest: str) -> None:
    assert language(words + rest[: 2 * len(words)]) == "zh"


@settings(deadline=None)
@given(st.text(st.characters()))
def test_any_text_is_read(text: str) -> None:
    code, rule = identify(text)
    assert code is None or (len(code) == 2 and code.isalpha())
    assert rule in {"language.script", "language.model"}


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert language(" " * READ + "路灯") is None
    assert language(" " * (READ - 1) + "路灯") == "zh"
