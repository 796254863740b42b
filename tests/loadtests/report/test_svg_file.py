from xml.etree import ElementTree as ET

from loadtests.report.chart import HEIGHT, Series, line_chart, svg_file


def test_charts_become_one_picture_that_stands_by_itself():
    series = [Series("live & well", [(0, 1), (5, 2)]), Series("dots", [(1, 1), (2, 2)], 1, dots=True)]
    chart = line_chart(series, x_label="s", y_label="replicas", legend_inside=True)
    root = ET.fromstring(svg_file([chart, chart], ".line { fill: none }"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("height") == str(2 * HEIGHT)
    words = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("live & well") == 2
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
