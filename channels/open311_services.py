"""What can be asked by Open311, unless the settings say otherwise: the hotline's usual subjects."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from channels.settings import Strict
from normalizer.model import MatterKind


class Service(Strict):
    """A service of GeoReport v2."""

    code: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")]
    """``service_code``."""
    name: Annotated[str, Field(min_length=1, max_length=100)]
    """``service_name``."""
    description: Annotated[str, Field(max_length=500)] = ""
    """For citizens."""
    group: Annotated[str, Field(max_length=100)] = ""
    """Under which clients show it."""
    keywords: tuple[Annotated[str, Field(pattern=r"^[^,]{1,50}$")], ...] = ()
    """By which clients find it."""
    kind: MatterKind = MatterKind.HELP
    """What the matter is."""


def _service(code: str, group: str, name: str, description: str, kind: MatterKind = MatterKind.HELP) -> Service:
    return Service(code=code, name=name, description=description, group=group, kind=kind)


_CITY, _LIVING, _SAY = "市政设施", "环境与生活", "咨询建议"
SERVICES: tuple[Service, ...] = (
    _service("streetlight", _CITY, "路灯故障", "路灯不亮、常亮、灯杆倾斜"),
    _service("road", _CITY, "道路破损", "路面坑洼、塌陷、人行道破损"),
    _service("manhole", _CITY, "井盖缺失或破损", "井盖丢失、破损、异响"),
    _service("traffic-signal", _CITY, "交通信号与标志", "红绿灯故障、标志标线缺失"),
    _service("water", _CITY, "供水排水", "停水、漏水、污水外溢、积水"),
    _service("heating-gas", _CITY, "供热供气", "暖气不热、燃气问题；闻到燃气味请先拨打燃气抢修电话"),
    _service("power", _CITY, "供电", "停电、线路隐患"),
    _service("waste", _LIVING, "环境卫生", "垃圾堆积、清运不及时", MatterKind.COMPLAINT),
    _service("noise", _LIVING, "噪声扰民", "施工、营业、广场噪声", MatterKind.COMPLAINT),
    _service("pollution", _LIVING, "环境污染", "异味、扬尘、水体污染", MatterKind.REPORT),
    _service("parking", _LIVING, "占道与违停", "占道经营、车辆违停", MatterKind.COMPLAINT),
    _service("housing", _LIVING, "物业与住房", "物业服务、电梯、漏雨", MatterKind.COMPLAINT),
    _service("consumer", _LIVING, "消费维权", "退费、质量、价格", MatterKind.COMPLAINT),
    _service("question", _SAY, "咨询", "政策、办事流程", MatterKind.CONSULTATION),
    _service("suggestion", _SAY, "意见建议", "对城市工作的意见和建议", MatterKind.SUGGESTION),
    _service("praise", _SAY, "表扬", "对人对事的表扬", MatterKind.PRAISE),
    _service("other", _SAY, "其他", "其他诉求", MatterKind.OTHER),
)
