"""The documentation matches the code (links, commands, options, formulas, settings), and both languages match."""
import ast
import doctest
import json
import re
import subprocess
import sys
from collections import Counter
from functools import lru_cache

import pytest

import config
from conftest import ROOT

DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("[!.]*/*.md")])
PAIRS = [(ROOT / "README.md", ROOT / "README.zh-CN.md"), (ROOT / "docs/mtcnn.md", ROOT / "docs/mtcnn.zh-CN.md"),
         (ROOT / "docs/own-data.md", ROOT / "docs/own-data.zh-CN.md")]
FIGURES = sorted((ROOT / "docs/figures").iterdir())
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$.+?\$\$", re.DOTALL)
CODE_LINK = re.compile(r"\]\(([^)\s]+\.py)#([\w.]+)\)")
SETTING = re.compile(r"\[([^\]]*\d[^\]]*)\]\([^)\s]*config\.py#([\w.]+)\)")      # [0.6](../config.py#PNET.threshold)
COMMAND = re.compile(r"python ([\w./]+\.py)([^`\n]*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
# What docs/mtcnn.md must link as a number: names in config.py; ".name" is a field or a key, ".0" an item.
EXPLAINED = {*(f"{net}.{field}" for net in ("PNET", "RNET", "ONET")
               for field in ("parameters", "learning_rate", "epochs", "loss_weights", "nms")),
             "PNET.threshold", "PNET.mining_threshold", "RNET.mining_threshold", "PNET.part_iou", "RNET.part_iou",
             "RNET.giou", "RNET.negatives_per_positive", "RNET.random_erasing", "PNET.batch", "RNET.batch",
             "PNET_RATIO", "PNET_STRIDE", "POSITIVE_IOU", "NEGATIVE_IOU", "MIN_TRUTH_SIZE", "NEGATIVES_PER_IMAGE",
             "NEAR_NEGATIVE_TRIES", "POSITIVE_TRIES", "ROTATION", "MINED_NEGATIVES_PER_IMAGE", "RANDOM_CROPS_PER_FACE",
             "RANDOM_ROTATION", "HARD_SHARE", "WEIGHT_DECAY", "MOMENTUM", "WARM_UP", "HELD_OUT_SHARE",
             "PYRAMID_FACTOR", "MIN_FACE_SIZE", "BENCHMARK_MIN_FACE.wider", "LEVEL_NMS", "SUPPORT", "SUPPORT_FALL",
             "FLIP_BELOW", "VOTE_IOU", "VOTE_TRUST", "VOTES_EXPECTED", "ODDS_POWER", "POINTS_BOX.0", "LOW_RECALL"}

# Runs each script's --help in one process, so that NumPy and OpenCV load once, and without TensorFlow, which is slow to
# load and says nothing in a --help.
HELPS = """
import contextlib, io, json, os, runpy, sys, unittest.mock
for name in ("tensorflow", "keras"):
    sys.modules[name] = unittest.mock.MagicMock()
said, path = {}, sys.path[:]
for script in sys.argv[1:]:
    text, sys.argv, sys.path[:] = io.StringIO(), [script, "--help"], [os.path.dirname(script) or ".", *path]
    try:
        with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
            runpy.run_path(script, run_name="__main__")
        said[script] = text.getvalue()
    except Exception as error:
        said[script] = f"fails with {type(error).__name__}: {error}"
print(json.dumps(said))
"""


# --- What the checks look at --------------------------------------------------------------------------------

def outside_fences(text):
    return FENCE.sub("", text)


def slugs(path):
    """Anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", outside_fences(path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@lru_cache
def definitions(path):
    """"function", "Class", "Class.method" or "CONSTANT" of a Python file -> its stripped lines."""
    text = path.read_text(encoding="utf-8")
    lines, found = [line.strip() for line in text.splitlines()], {}

    def add(nodes, prefix=""):
        for node in nodes:
            targets = node.targets if isinstance(node, ast.Assign) else []
            for name in [getattr(node, "name", None), *(target.id for target in targets if hasattr(target, "id"))]:
                if name:
                    found[prefix + name] = set(lines[node.lineno - 1:node.end_lineno])
            if isinstance(node, ast.ClassDef):
                add(node.body, f"{node.name}.")

    add(ast.parse(text).body)
    return found


def defines(path, name):
    """Whether a Python file defines that name; in config.py also a field of a net, or an item."""
    if path.resolve() != ROOT / "config.py":
        return name in definitions(path)
    try:
        setting(name)
    except (AttributeError, LookupError, TypeError):
        return False
    return True


def commands(text):
    """Python commands in a text: (script, the rest of the line, with shell variables filled in)."""
    values = dict(re.findall(r'^(\w+)="(.*)"$', text, re.MULTILINE))
    for script, rest in COMMAND.findall(text.replace("\\\n", " ")):
        yield script, re.sub(r"\$(\w+)", lambda name: values.get(name[1], name[0]), rest)


@pytest.fixture(scope="module")
def helps():
    """Script -> its --help, of every script that the documentation names; "run.sh" -> that of run.sh."""
    named = {script for path in DOCS for script, _ in commands(path.read_text(encoding="utf-8"))}
    scripts = sorted(script for script in named if (ROOT / script).is_file())
    said = json.loads(subprocess.run([sys.executable, "-c", HELPS, *scripts], cwd=ROOT, capture_output=True, text=True,
                                     check=True).stdout)
    said["run.sh"] = subprocess.run(["bash", "run.sh", "--help"], cwd=ROOT, capture_output=True, text=True).stdout
    return said


# --- The checks: a text and where it stands -> what is wrong with it ------------------------------------------

def bad_links(text, folder):
    for target in re.findall(r"\]\(([^)\s]+)\)", outside_fences(text)):
        place, _, anchor = target.partition("#")
        path = folder / place
        if re.match(r"[a-z]+:", target):
            continue
        if place and not path.exists():
            yield f"{target}: there is no such file"
        elif anchor and path.suffix == ".py" and not defines(path, anchor):
            yield f"{target}: {place} defines no {anchor}"
        elif anchor and path.suffix == ".md" and anchor not in slugs(path):
            yield f"{target}: {place} has no such heading"
        elif anchor and path.suffix not in (".py", ".md"):
            yield f"{target}: an anchor into neither Python nor Markdown"


def setting(name):
    """"PYRAMID_FACTOR", "PNET.threshold", "POINTS_BOX.0", ... -> that value of config.py."""
    value = config
    for part in name.split("."):
        if isinstance(value, dict):
            value = value[part]
        elif part.isdecimal():
            value = value[int(part)]
        else:
            value = getattr(value, part)
    return value


def bad_settings(text):
    """A linked number that differs from config.py. Tuples and dictionaries show all their numbers, in order."""
    for shown, name in SETTING.findall(text):
        value = setting(name)
        expected = list(value.values()) if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
        found = [float(number.replace(",", "")) / (100 if percent else 1)
                 for number, percent in re.findall(r"(-?\d[\d,]*(?:\.\d+)?)( ?%)?", shown)]
        if found != [float(number) for number in expected]:
            yield f"[{shown}]: {name} is {value}"


def bad_sessions(text):
    """Differences between what a text's Python session prints and what the text shows."""
    names, wrong = {}, []
    for number, (language, code) in enumerate(FENCE.findall(text)):
        if language == "pycon":
            example = doctest.DocTestParser().get_doctest(code, names, f"block {number}", None, 0)
            doctest.DocTestRunner(verbose=False).run(example, out=wrong.append, clear_globs=False)
            names = example.globs
    yield from wrong


def bad_commands(text, helps):
    for script, rest in commands(text):
        if script not in helps:
            yield f"{script}: there is no such script"
            continue
        if not helps[script].startswith("usage: "):
            yield f"{script} --help {helps[script]}"
            continue
        known = set(OPTION.findall(helps[script]))
        for option in OPTION.findall(rest):
            if option not in known:
                yield f"{script} has no option {option}"
        size = re.match(r" (\d+)\b", rest)
        if size and not re.search(rf"\{{[^}}]*\b{size[1]}\b[^}}]*\}}", helps[script]):
            yield f"{script} does not take {size[1]}"


def bad_formulas(text, folder):
    """A formula without the function that computes it, and quoted code that is not in that function."""
    starts = [match.end() for match in FORMULA.finditer(text)]
    for start, end in zip(starts, [*starts[1:], len(text)]):
        if not CODE_LINK.search(text[start:end]):
            yield f"{text[:start].splitlines()[-1]}: no code is named"
    for block in FENCE.finditer(text):
        if block[1] == "python":
            links = list(CODE_LINK.finditer(text, 0, block.start()))
            place, name = links[-1].groups() if links else ("", "")
            source = definitions(folder / place).get(name, set()) if place else set()
            for line in block[2].splitlines():
                if line.strip() not in source:
                    yield f"{place}#{name} has no line {line.strip()}"


def sections(text):
    """Markdown -> [(level of the heading, what stands below it)]."""
    parts = re.split(r"^(#+) .+$", FENCE.sub(lambda block: block[0].replace("\n#", "\n "), text), flags=re.MULTILINE)
    return list(zip(map(len, parts[1::2]), parts[2::2]))


def traits(section):
    """What a translation does not change in a section: name -> its items, counted."""
    blocks = FENCE.findall(section)
    prose = outside_fences(section)
    tables = [line for line in prose.splitlines() if line.startswith("|")]
    return {"code blocks": [(language, re.sub(r"\s*#.*", "", code)) for language, code in blocks],
            "formulas": FORMULA.findall(section),
            "figures": re.findall(r"!\[.*?\]\((.+?)\)", prose),
            "links to code": Counter(CODE_LINK.findall(prose)),
            "commands and names": Counter(re.findall(r"(?<!`)`([^`\n]+)`", prose)),
            "numbers": Counter(re.findall(r"\d[\d,]*\.\d+|\d[\d,]*\d", prose)),
            "shape of the tables": [line.count("|") for line in tables],
            "numbers in tables": [re.findall(r"\d[\d,.]*\d|\d", line) for line in tables]}


def differences(text, translated):
    ours, theirs = sections(text), sections(translated)
    if [level for level, _ in ours] != [level for level, _ in theirs]:
        yield "not the same sections"
        return
    for number, ((_, section), (_, other)) in enumerate(zip(ours, theirs)):
        here, there = traits(section), traits(other)
        yield from (f"section {number}: {name} differ: {here[name]} and {there[name]}"
                    for name in here if here[name] != there[name])


# --- The documentation ----------------------------------------------------------------------------------------

def relative(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCS, ids=relative)
def test_every_link_leads_somewhere(path):
    assert not list(bad_links(path.read_text(encoding="utf-8"), path.parent))


@pytest.mark.parametrize("path", DOCS, ids=relative)
def test_every_command_is_one_that_its_script_takes(path, helps):
    assert not list(bad_commands(path.read_text(encoding="utf-8"), helps))


def test_the_changes_that_the_ablations_name_are_those_of_the_script(helps):
    text = (ROOT / "docs/ablations.md").read_text(encoding="utf-8")
    listed = re.search(r"of (none; [^()]+)\(default: all\)", " ".join(helps["experiments/ablation.py"].split()))[1]
    named = [name for line in re.findall(r"--changes (.+)", text) for name in re.findall(r'"([^"]+)"', line)]
    assert named and {*named} <= {name.strip() for name in listed.split(";")}


@pytest.mark.parametrize("path", sum(PAIRS, ()), ids=relative)
def test_every_option_named_alone_is_one_of_some_script(path, helps):
    named = set(OPTION.findall(path.read_text(encoding="utf-8"))) - {"--logdir"}      # TensorBoard's
    assert named <= set(OPTION.findall("\n".join(helps.values())))


@pytest.mark.parametrize("path", PAIRS[1], ids=relative)
def test_every_formula_stands_beside_the_code_that_computes_it(path):
    assert not list(bad_formulas(path.read_text(encoding="utf-8"), path.parent))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: relative(pair[0]))
def test_both_languages_say_the_same(pair):
    assert not list(differences(*(path.read_text(encoding="utf-8") for path in pair)))


def test_figures_are_small_and_used():
    text = PAIRS[1][0].read_text(encoding="utf-8")
    assert {path.name for path in FIGURES} == set(re.findall(r"\(figures/(.+?)\)", text))
    assert all(path.stat().st_size < 150_000 for path in FIGURES)
    assert sum(path.stat().st_size for path in FIGURES) < 1_000_000


@pytest.mark.parametrize("path", PAIRS[1], ids=relative)
def test_the_explanation_gives_the_numbers_of_the_code(path):
    text = path.read_text(encoding="utf-8")
    assert not list(bad_settings(text))
    assert EXPLAINED <= {name for _, name in SETTING.findall(text)}


@pytest.mark.parametrize("path", PAIRS[1], ids=relative)
def test_the_session_in_the_explanation_prints_what_it_shows(path):
    text = path.read_text(encoding="utf-8")
    assert "\n```pycon\n" in text and not list(bad_sessions(text))


@pytest.mark.parametrize("path", PAIRS[0], ids=relative)
def test_the_front_page_gives_the_defaults_of_the_code(path):
    text = path.read_text(encoding="utf-8")
    rows = {option: row for row in text.splitlines() for option in OPTION.findall(row[:20]) if row.startswith("| `--")}
    for option, default in (("--min-face", config.MIN_FACE_SIZE), ("--factor", config.PYRAMID_FACTOR),
                            ("--thresholds", " ".join(f"{stage.threshold:g}" for stage in config.CASCADE))):
        assert re.search(rf"[(（]{default}[)）]", rows[option]), option
    assert " / ".join(f"{stage.benchmark_threshold:g}" for stage in config.CASCADE) in text
    assert f"{config.BENCHMARK_MIN_FACE['wider']} px" in text


def test_the_model_card_gives_the_numbers_of_the_code_and_of_the_front_page():
    card = " ".join((ROOT / "model/README.md").read_text(encoding="utf-8").split())
    assert " + ".join(f"{stage.parameters:,}" for stage in config.CASCADE) in card
    assert " / ".join(f"{stage.benchmark_threshold:g}" for stage in config.CASCADE) in card
    for name, stage in zip("PRO", config.CASCADE):
        row = rf"\| {name}-Net[^|]*\|[^|]*\| {stage.epochs} x [\d,]+ \| {stage.learning_rate:g} \|"
        assert re.search(row, card), name
    front = PAIRS[0][0].read_text(encoding="utf-8")
    for row in re.findall(r"(0\.\d{3}) / (0\.\d{3}) / (0\.\d{3})", front):
        assert " | ".join(row) in card.replace("*", ""), row


def test_the_lines_of_python_in_the_readme_run():
    from detection.images import read
    block = next(code for language, code in FENCE.findall(PAIRS[0][0].read_text(encoding="utf-8"))
                 if language == "python")
    image = read(ROOT / "picture/astronaut.jpg")
    exec(block.replace('"model"', repr(str(ROOT / "model"))), {"image": image, "images": [image, image[:300]]})


def test_the_figure_script_still_draws(tmp_path):
    subprocess.run([sys.executable, "docs/make_figures.py", "--only", "pyramid", "--out", tmp_path], cwd=ROOT,
                   check=True, capture_output=True)
    assert (tmp_path / "pyramid.jpg").is_file()


# --- The checks themselves find what is wrong -------------------------------------------------------------------

@pytest.mark.parametrize("text", ["[a](absent.md)", "[a](README.md#no-such-heading)", "[a](detection/boxes.py#absent)",
                                  "[a](detection/cascade.py#Detector.absent)", "[a](run.sh#L3)",
                                  "[a](config.py#PNET.absent)", "[a](config.py#POINTS_BOX.2)"])
def test_a_wrong_link_is_found(text):
    assert list(bad_links(text, ROOT))
    assert not list(bad_links("[a](README.md#detect) [b](detection/boxes.py#iou) [c](https://example.org)", ROOT))


@pytest.mark.parametrize("text", ["`python absent.py`", "`python train/train.py 13`", "`python test.py --absent`",
                                  'W="--absent"\npython test.py $W', "python train/train.py 12 \\\n --absent"])
def test_a_wrong_command_is_found(text, helps):
    assert list(bad_commands(text, helps))
    assert not list(bad_commands("`python train/train.py 12 --epochs 3 --data DIR`", helps))


@pytest.mark.parametrize("text", ["$$ a $$", "$$ a $$ $$ b $$ [c](detection/boxes.py#iou)",
                                  "$$ a $$ [b](detection/boxes.py#iou)\n\n```python\nreturn 7\n```\n"])
def test_a_wrong_formula_is_found(text):
    assert list(bad_formulas(text, ROOT))
    right = "$$ a $$ [b](detection/boxes.py#iou)\n\n```python\ncommon = intersection(a, b)\n```\n"
    assert not list(bad_formulas(right, ROOT))


@pytest.mark.parametrize("text", ["[0.7](config.py#PNET.threshold)", "[60](config.py#MINED_NEGATIVES_PER_IMAGE)",
                                  "[7 %](config.py#HARD_SHARE)", "[0.06](config.py#POINTS_BOX.0)"])
def test_a_wrong_setting_is_found(text):
    assert list(bad_settings(text))
    assert not list(bad_settings("[0.6](config.py#PNET.threshold) [60 to 300](config.py#MINED_NEGATIVES_PER_IMAGE) "
                                 "[70 %](config.py#HARD_SHARE) [0.69](config.py#POINTS_BOX.0) "
                                 "[389,040](config.py#ONET.parameters) [12](config.py#BENCHMARK_MIN_FACE.wider)"))


def test_a_session_that_prints_something_else_is_found():
    assert list(bad_sessions("```pycon\n>>> a = 1\n```\n\n```pycon\n>>> a + 1\n3\n```\n"))
    assert not list(bad_sessions("```pycon\n>>> a = 1\n```\n\n```pycon\n>>> a + 1\n2\n```\n"))


@pytest.mark.parametrize("translated", ["# A\n", "# A\n\n# B\n\n## C\n", "# A\n\n12 `x`\n", "# A\n\n11 `y`\n",
                                        "# A\n\n11 `x`\n\n| 1 |\n", "# A\n\n11 `x`\n\n```bash\nls\n```\n"])
def test_a_translation_that_differs_is_found(translated):
    assert list(differences("# A\n\n11 `x`\n", translated))
    assert not list(differences("# A\n\n11 `x`\n", "# 甲\n\n有 11 个 `x`\n"))
