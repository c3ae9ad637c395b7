"""Places, bodies and people of an invented city. Every name is made up; those of one world never repeat soon."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: No two words share a character, so that two names that differ are plainly different.
_BRANDS = _words(
    "恒岳 中昊 瑞茂 远卓 盛邦 宏泽 立诚 嘉栩 融晖 鼎沛 九榕 建翔 百隆 智谷 华钰 润森 东楷 万峤 绿蔓 金舵 保奕 新沃 海镜 世纶 天铎 "
    "和煦 安佑 尚筑 昌垣 名庐 龙骏 信朴 同辉 广厦 德馨 启迪 阳朔 五洋 联创 富临"
)
_NAMES = _words(
    "云栖 澜湾 锦溪 桂语 望岫 松涛 清荷 梧桐 丹枫 鹭港 书香 兰亭 凤鸣 玉泉 星河 御景 春晓 紫薇 翰林 碧桃 竹隐 梅岭 雪堂 霞浦 观山 "
    "听雨 悦府 熙岸 铂郡 麓城 晴川 杏坛 柳浪 芳洲 揽月 逸品 沁园 珑玺 樾棠 汀步 沐歌 朗诗 峰汇 溢彩 颐居 橙堡 蓝图 映像 珊瑚 "
    "白鹿 红豆 雁洄 鹤舞 鲲鹏 麒麟 芙蓉 葵花 茉莉 菱角 莲蓬 枣圃 槐序 榆钱 樟岚 楠木 檀阁 柿坞 桑梓"
)
_SUFFIXES = _words("花园 雅苑 家园 小区 公馆 名邸 华府 新村")
_DISTRICTS = _words("临江区 云岭区 望湖区 青石县 南屏区 北塔区 双桥区 沙洲县 古渡区 平川区")
_STREETS = _words("柳营 石鼓 文昌 油坊 鼓楼 白沙 大塘 枫林 河埠 新桥 铁铺 南园 东岗 西堰 三汊 五里 黄泥 老关 城隍 桃源")
_ROADS = _words("路 大道 街 巷")
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗郑梁谢宋唐许韩冯邓曹彭"
_GIVEN = _words("建国 秀英 志强 丽娟 海涛 晓燕 国平 春梅 文博 雅琴 俊杰 佳怡 永福 桂兰 浩然 思雨 德明 玉珍 子轩 欣悦")
_PHASES = "一二三四五六"
#: A name is a word, a first and a last character of others. Of one word no two names share either, so that no two names differ
#: in one character only.
_FORE = _NAMES + _BRANDS
_FIRST, _LAST = ([word[at] for word in _FORE] for at in (0, 1))
#: First characters of the names of places where something happens to many.
_COMMON = 20
#: Prime to the number of names, as to that of words: neighbours in number differ in all of it.
_STRIDE, _TURN = 4_127, 7


@dataclass(frozen=True, slots=True)
class Place:
    """A place, and what is near it: the words that stand in the slots of a text."""

    #: Its name, for example 恒岳云栖花园.
    name: str
    #: District and street, as the exact write before it.
    area: str
    #: A road there.
    road: str
    #: A company, site or shop there.
    firm: str
    #: A school there.
    school: str
    #: Building and entrance.
    block: str
    #: A line of bus or underground.
    line: str

    def slots(self) -> dict[str, str]:
        """For ``str.format``."""
        return {name: getattr(self, name) for name in type(self).__slots__}


def names(*, common: bool) -> int:
    """After so many places a name comes again."""
    return (_COMMON if common else len(_FORE) - _COMMON) * len(_FORE)


def place(rng: Random, number: int, *, common: bool = False) -> Place:
    """The place of this number; those where something happens to many have names of their own."""
    first, word = divmod(number * _STRIDE % names(common=common), len(_FORE))
    first += 0 if common else _COMMON
    last = first + _TURN * word
    brand = _FORE[word]
    name, street = _called(first, last), _called(first + 23, last + 41)
    firm = _BRANDS[(7 * number + number // len(_BRANDS) + 17) % len(_BRANDS)]
    return Place(
        name=brand + name + rng.choice(_SUFFIXES),
        area=rng.choice(_DISTRICTS) + rng.choice(_STREETS) + "街道",
        road=street + rng.choice(_ROADS),
        firm=firm + name[0],
        school=street + brand[0],
        block=f"{rng.randint(1, 28)}栋{rng.randint(1, 4)}单元",
        line=str(rng.randint(2, 399)),
    )


def _called(first: int, last: int) -> str:
    return _FIRST[first % len(_FORE)] + _LAST[last % len(_FORE)]


def phase(rng: Random) -> tuple[str, str]:
    """Two different phases of one estate."""
    one, other = rng.sample(_PHASES, 2)
    return f"{one}期", f"{other}期"


def person_name(rng: Random) -> str:
    """A name of a person."""
    return rng.choice(_SURNAMES) + rng.choice(_GIVEN)
