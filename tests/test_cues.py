"""What a short message asks of the hotline itself, and what only sounds like it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.cues import SHORT, Cues, code_given, read_cues
from normalizer.tracking import tracking_code

CODE = tracking_code(date(2026, 11, 23), 1)
OTHER = tracking_code(date(2026, 11, 22), 777_777_777)
WRONG = CODE[:-1] + str((int(CODE[-1]) + 1) % 10)


def ids(text: object) -> str:
    return str(text)[:24]


# -- how it stands -----------------------------------------------------------------------------------------------------

STATUS = (
    *(
        "进度",
        "查询",
        "查询进度",
        "查进度",
        "查一下进度",
        "我想查一下进度",
        "请问进度",
        "进展如何",
        "处理进度",
        "办理情况",
    ),
    *(
        "办得怎么样了",
        "处理得怎么样了？",
        "您好，请问办得怎么样了",
        "办到哪一步了",
        "到哪一步了",
        "我的投诉处理得怎么样了",
    ),
    *(
        "请问我反映的问题有没有结果",
        "我上周反映的路灯问题处理得怎么样了？",
        "查询我的诉求",
        "帮我查一下我的工单",
        "投诉进度",
    ),
    *("举报结果查询", "路灯的事办得怎么样了", "噪音问题处理到哪一步了", "你好，我想了解一下我的投诉处理结果，谢谢"),
    *(
        f"进度 {CODE}",
        f"进度{CODE}",
        f"{CODE}",
        f"查询：{CODE}",
        f"{CODE} 进度",
        f"受理编号{CODE}的进度",
        f"工单{CODE}办理情况",
    ),
    *("status", "Status?", f"status {CODE}", f"STATUS {CODE}", "What is the status of my request?", "progress please"),
    *("Can you tell me the progress of my complaint", "进度 " + WRONG),
)
NOT_STATUS = (
    *("请问进度，另外路灯又坏了", "进度怎么样，我对结果不满意", "不用查进度"),
    *(
        "工程进度太慢",
        "投诉小区不公开工程进度",
        "地铁进展如何",
        "请查一下泉城路饭店油烟扰民",
        "查一下这家公司有没有偷税",
    ),
    *("请查询一下我的社保缴费记录为什么少了两个月", "施工进度缓慢，影响出行", "修路没有进展", "物业不告知维修进度"),
    *(
        "处理结果不满意",
        "小区改造情况说明要公开",
        "身份证办理情况说明在哪里开",
        "路灯坏了",
        "查水表的人态度恶劣",
        "小区停水",
    ),
    *(
        "the construction progress is slow",
        "My marital status was registered wrong",
        "status quo is unbearable, noise all night",
    ),
)


@pytest.mark.parametrize("text", STATUS, ids=ids)
def test_asks_how_it_stands(text: str) -> None:
    assert read_cues(text).status


@pytest.mark.parametrize("text", NOT_STATUS, ids=ids)
def test_tells_something_that_would_be_lost_as_a_query(text: str) -> None:
    assert not read_cues(text).status


# -- chases ------------------------------------------------------------------------------------------------------------

CHASES = (
    *(
        "催办",
        "催一下",
        "我来催一下",
        "再催一次",
        "怎么还没处理？",
        "为什么还没有人来",
        "还没解决",
        "还没修好",
        "一直没人管",
    ),
    *("没人联系我", "到现在都没人回复", "迟迟不处理", "请尽快处理", "麻烦尽快解决，谢谢", "抓紧处理", "什么时候能解决"),
    *(
        "什么时候才来修？",
        "多久能处理",
        "等了三天了，没人联系我",
        "已经等了一个月了",
        "等了两周还没有消息",
        "有消息了吗",
    ),
    *("有没有结果了", "路灯怎么还没修", "我上周反映的下水道堵塞问题怎么还没解决", "之前投诉的噪音问题一直没人管"),
    *(
        f"{CODE}什么时候能解决",
        f"{CODE} 催办",
        f"{CODE}路灯的事请尽快处理",
        "还没有人来处理",
        "你们什么时候来人",
        "怎么还没有答复",
    ),
    *(
        "Any news?",
        "any update",
        "Still waiting",
        "still no answer",
        "How long will it take?",
        "how much longer do I have to wait",
    ),
)
NOT_CHASES = (
    *("不催了", "不用催了，谢谢", "不是催你们，路灯又多坏了两盏"),
    *("路灯坏了一个月没人修，请尽快处理", "小区垃圾堆了三天没人清理", "开发商逾期一年还没有交房", "学校什么时候开学"),
    *(
        "医保什么时候可以报销",
        "公司拖欠工资三个月，一直没人管",
        "泉城路井盖缺失，请尽快处理",
        "邻居半夜装修，物业没人管",
    ),
    *("幼儿园什么时候报名", "楼上漏水找了物业几次都没人来修", "我还没有收到身份证，办了两个月了", "办理退休需要多久"),
    *("路灯坏了", "催收公司骚扰我", "there is still no water in building 3", "the bus takes how long from A to B?"),
)


@pytest.mark.parametrize("text", CHASES, ids=ids)
def test_asks_for_it_to_be_done(text: str) -> None:
    assert read_cues(text).chase


@pytest.mark.parametrize("text", NOT_CHASES, ids=ids)
def test_a_complaint_that_nobody_comes_is_no_chase(text: str) -> None:
    assert not read_cues(text).chase


# -- withdrawals -------------------------------------------------------------------------------------------------------

WITHDRAWALS = (
    *(
        "撤回",
        "撤诉",
        "撤销",
        "我要撤诉",
        "我要撤销诉求",
        "申请撤销投诉",
        "请撤回我的投诉",
        "取消投诉",
        "我想取消我的工单",
    ),
    *(
        "不投诉了",
        "问题已解决，撤诉",
        "已经处理好了，申请撤销工单",
        "不用处理了",
        "不需要处理了，谢谢",
        "撤回诉求，谢谢！",
    ),
    *(
        f"取消 {CODE}",
        f"撤回{CODE}",
        "withdraw",
        "Please cancel my complaint.",
        "cancel my request",
        "I want to withdraw my complaint",
    ),
)
NOT_WITHDRAWALS = (
    *("不撤回", "我不撤诉", "我没有要撤回", "不要撤回我的投诉", "别撤销", "暂不撤回", "还没修好，撤回吧"),
    *("为什么撤回我的投诉", "谁撤回了我的诉求", "我撤回诉求了吗", "怎么撤回诉求", "能撤回吗？", "撤回投诉，重新投诉"),
    *("I don't want to withdraw my complaint", "do not cancel my request"),
    *(
        "取消",
        "取消公交线路不合理",
        "要求撤销物业的罚款通知单",
        "请撤销对我的处罚",
        "公司撤回了录用通知",
        "取消低保不合理",
    ),
    *(
        "村委会撤销了我的资格",
        "撤诉后法院不退费",
        "不要取消投诉热线",
        "cancel",
        "The school cancelled my request for a place",
    ),
    *("已解决", "不用了", "谢谢"),
)


@pytest.mark.parametrize("text", WITHDRAWALS, ids=ids)
def test_takes_it_back(text: str) -> None:
    assert read_cues(text).withdrawal


@pytest.mark.parametrize("text", NOT_WITHDRAWALS, ids=ids)
def test_something_else_is_taken_back(text: str) -> None:
    assert not read_cues(text).withdrawal


# -- objections --------------------------------------------------------------------------------------------------------

OBJECTIONS = (
    *(
        "不满意，路灯根本没修好",
        "情况不属实，没有解决",
        "不认可这个结果",
        "不同意",
        "没解决",
        "问题还是没有解决",
        "又坏了",
    ),
    *(
        "还是老样子",
        "你们在敷衍我",
        "答复与事实不符",
        "互相推诿",
        "路灯又不亮了，还是没修好",
        "Not fixed!",
        "it is still not solved",
    ),
    *(
        "I disagree",
        "满意，但是没修好",
        "5分，但是路灯又坏了",
        "你们这不是敷衍人吗",
        "不是说修好了吗，根本没有解决",
        "怎么还没处理，我不满意",
        "进度怎么样，我对结果不认可",
        "尊敬的领导，您好，关于我上次反映的问题，" + "贵单位的答复我已经看过了，" * 5 + "但处理结果我不认可。",
    ),
)
NOT_OBJECTIONS = (
    *("没有不满意", "不是不满意", "并非不满意，只是有点慢", "都解决了，没有不满意", "没有不认可", "没有敷衍我，谢谢"),
    *("不是没解决，是解决得慢", "问题有没有解决？", "没有异议", "对结果无异议", "答复与事实相符", "不反对"),
    *("I do not disagree", "I don't disagree", "it is not still broken", "not dissatisfied"),
    "您单位的答复我看了，处理结果没有不满意，" + "谢谢你们的辛苦工作，" * 10,
    *("路灯坏了", "小区停水三天", "修好了，谢谢", "物业费太高", "身份证号码与户口簿不符怎么办", "学校招生名不符实"),
    *("我2011年买的房子，开发商一直没有解决漏水问题。" * 6, "物业多次推诿，居民都不满意，" * 8, "政府不作为"),
)


@pytest.mark.parametrize("text", OBJECTIONS, ids=ids)
def test_does_not_accept_the_result(text: str) -> None:
    assert read_cues(text).objection


@pytest.mark.parametrize("text", NOT_OBJECTIONS, ids=ids)
def test_says_nothing_of_a_result(text: str) -> None:
    assert not read_cues(text).objection


# -- marks -------------------------------------------------------------------------------------------------------------

MARKS = {
    "5": 5,
    "５": 5,
    "5分": 5,
    "5 分": 5,
    "４星": 4,
    "3颗星": 3,
    "1。": 1,
    "五分": 5,
    "一星": 1,
    "5分，非常满意": 5,
    "①": 1,
    "满意": 4,
    "非常满意！": 5,
    "很满意": 5,
    "满意，谢谢": 4,
    "比较满意": 4,
    "基本满意": 3,
    "一般": 3,
    "不满意": 2,
    "不太满意": 2,
    "非常不满意": 1,
    "很不满意。": 1,
    "评价5分": 5,
    "打4分": 4,
    "我给2分": 2,
    "满分": 5,
    "very satisfied": 5,
    "Dissatisfied": 2,
    "5 thanks": 5,
    "not satisfied": 2,
    "我不是很满意": 2,
    "不怎么满意": 2,
    "挺满意的": 4,
    "还算满意": 4,
    "非常不满意，1分": 1,
    "1，不满意": 1,
    "满意 5分": 5,
}
NO_MARKS = (
    *(
        "10",
        "0",
        "6",
        "5.5",
        "12345",
        "1-5",
        "一",
        "满意度调查打不开",
        "非常满意的服务却收费",
        "对结果不满意，没修好",
        "五楼漏水",
    ),
    *("5分 不满意", "1分，非常满意", "满意吗", "满意，但是没修好", "给5分还是1分", "1分都不给", "0分"),
    *("不是不满意", "没有不满意", "5分，但是路灯又坏了", "非常满意，谢谢，但还想问下"),
    *("3号楼停电", "5分钟没人接", "2单元", "一般纳税人怎么申请", "the fifth"),
)


@pytest.mark.parametrize(("text", "score"), MARKS.items(), ids=ids)
def test_a_mark(text: str, score: int) -> None:
    assert read_cues(text).score == score


@pytest.mark.parametrize("text", NO_MARKS, ids=ids)
def test_no_mark(text: str) -> None:
    assert read_cues(text).score is None


# -- no more messages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["TD", "td", "Ｔ", " 退订。", "N", "stop", "Unsubscribe", "0000", "“TD”", "ＳＴＯＰ！"], ids=ids
)
def test_wants_no_more(text: str) -> None:
    assert read_cues(text).opt_out


@pytest.mark.parametrize(
    "text",
    ["退订报纸没人管", "TD线停运", "stop the noise", "NO", "我要退订宽带", f"TD {CODE}", "000", "不退订", ""],
    ids=ids,
)
def test_wants_something_else(text: str) -> None:
    assert not read_cues(text).opt_out


# -- codes -------------------------------------------------------------------------------------------------------------

SPACED = f"{CODE[:4]} {CODE[4:8]} {CODE[8:12]} {CODE[12:]}"
CODES = {
    CODE: (CODE,),
    f"编号{CODE}。": (CODE,),
    CODE.translate({ord("0") + n: ord("０") + n for n in range(10)}): (CODE,),
    SPACED: (CODE,),
    SPACED.replace(" ", "-"): (CODE,),
    SPACED.replace(" ", "\u3000"): (CODE,),
    f"5 {CODE}": (CODE,),
    f"{CODE} 5": (CODE,),
    f"1234 {SPACED}": (CODE,),
    f"电话13800138000，编号{CODE}": (CODE,),
    f"13800138000 {CODE}": (CODE,),
    f"{CODE}和{OTHER}": (CODE, OTHER),
    f"{OTHER} {CODE} {OTHER}": (OTHER, CODE),
    WRONG: (),
    CODE[:-1]: (),
    CODE + "0": (),
    "0" + CODE: (),
    "6217001180000000": (),
    "13800138000 12345": (),
    CODE[0] + CODE[2] + CODE[1] + CODE[3:]: (),
    "": (),
}


@pytest.mark.parametrize(("text", "codes"), CODES.items(), ids=ids)
def test_codes(text: str, codes: tuple[str, ...]) -> None:
    assert read_cues(text).codes == codes


def test_a_code_with_a_wrong_digit_is_no_word_of_the_citizen() -> None:
    assert read_cues(f"撤回 {WRONG}").withdrawal and read_cues(f"{WRONG} 催办").chase


# -- all of it ---------------------------------------------------------------------------------------------------------


def test_a_long_text_asks_for_nothing() -> None:
    cues = read_cues("进度。" + "我要说的事情很长，" * SHORT)
    assert not (cues.short or cues.status or cues.chase or cues.withdrawal or cues.score)


@given(st.text(max_size=700))
def test_any_text_has_cues(text: str) -> None:
    assert isinstance(read_cues(text), Cues)


@pytest.mark.parametrize(
    "piece", ["没", "还没", "我反映的", "请", "查", "的问题", "1 ", "1-", "一直没", "PLEASE ", "A "]
)
def test_no_text_takes_long(piece: str) -> None:
    """Nested repetitions would: a second for sixty characters."""
    import time  # noqa: PLC0415 - only here

    began = time.process_time()
    for number in (SHORT // len(piece), 600 // len(piece)):
        read_cues(piece * number + "。x")
        read_cues(piece * number)
    assert time.process_time() - began < 1


# -- A telephone number of his own -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("绑定 13800138000", "+8613800138000"),
        ("绑定13800138000。", "+8613800138000"),
        ("绑定手机：138-0013-8000", "+8613800138000"),
        ("请绑定手机号码 +86 138 0013 8000", "+8613800138000"),
        ("我要绑定我的手机号是008613800138000", "+8613800138000"),
        ("绑定１３８００１３８０００", "+8613800138000"),
        ("bind 13800138000", "+8613800138000"),
        ("Please link my phone number +44 20 7946 0958", "+442079460958"),
        ("绑定", None),
        ("绑定 12345", None),
        ("绑定 138001380001", None),
        ("绑定 02087654321", None),
        ("我的手机号是13800138000", None),
        ("社保卡绑定 13800138000 失败，系统提示错误", None),
        ("绑定手机13800138000后收不到短信", None),
    ],
)
def test_a_number_to_be_bound_is_the_whole_message(text: str, number: str | None) -> None:
    assert read_cues(text).binds == number


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("验证码：123456", "123456"),
        ("短信验证码是123456。", "123456"),
        ("Code 123-456", "123456"),
        ("１２３４５６", "123456"),
        ("12345", None),
        ("1234567", None),
        ("门牌123456", None),
        ("验证码123456收不到", None),
        ("", None),
    ],
)
def test_six_digits_and_nothing_else_are_a_code(text: str, code: str | None) -> None:
    assert code_given(text) == code
