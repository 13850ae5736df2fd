"""Looking inside a model: what it computes, what its layers hold, what decides, what its units want."""

from ._capture import capture as capture
from ._forward import after as after
from ._forward import until as until
from ._summary import Row as Row
from ._summary import Summary as Summary
from ._summary import summarise as summarise
from .attribution import LrpRule as LrpRule
from .attribution import alpha_beta_rule as alpha_beta_rule
from .attribution import deconvnet as deconvnet
from .attribution import deep_lift as deep_lift
from .attribution import eigen_cam as eigen_cam
from .attribution import epsilon_rule as epsilon_rule
from .attribution import feature_ablation as feature_ablation
from .attribution import gamma_rule as gamma_rule
from .attribution import grad_cam as grad_cam
from .attribution import grad_cam_plus_plus as grad_cam_plus_plus
from .attribution import gradient as gradient
from .attribution import guided_backprop as guided_backprop
from .attribution import guided_grad_cam as guided_grad_cam
from .attribution import input_x_gradient as input_x_gradient
from .attribution import integrated_gradients as integrated_gradients
from .attribution import lrp as lrp
from .attribution import occlusion as occlusion
from .attribution import rise as rise
from .attribution import score_cam as score_cam
from .attribution import smooth_grad as smooth_grad
