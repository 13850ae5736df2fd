"""What of an image decides: one attribution a file."""

from ._deep_lift import deep_lift as deep_lift
from ._eigen_cam import eigen_cam as eigen_cam
from ._feature_ablation import feature_ablation as feature_ablation
from ._grad_cam import grad_cam as grad_cam
from ._grad_cam import grad_cam_plus_plus as grad_cam_plus_plus
from ._grad_cam import guided_grad_cam as guided_grad_cam
from ._gradient import gradient as gradient
from ._gradient import input_x_gradient as input_x_gradient
from ._integrated_gradients import integrated_gradients as integrated_gradients
from ._lrp import LrpRule as LrpRule
from ._lrp import alpha_beta_rule as alpha_beta_rule
from ._lrp import epsilon_rule as epsilon_rule
from ._lrp import gamma_rule as gamma_rule
from ._lrp import lrp as lrp
from ._occlusion import occlusion as occlusion
from ._rectified import deconvnet as deconvnet
from ._rectified import guided_backprop as guided_backprop
from ._rise import rise as rise
from ._score_cam import score_cam as score_cam
from ._smooth_grad import smooth_grad as smooth_grad
