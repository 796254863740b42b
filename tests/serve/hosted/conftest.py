from tests.deployments.hosted.conftest import _key as _key
from tests.deployments.hosted.conftest import ideogram_api as ideogram_api
from tests.deployments.hosted.conftest import openai_api as openai_api
